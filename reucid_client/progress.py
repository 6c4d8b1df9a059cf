"""A bar for a job, in a terminal or a notebook: tqdm's, if it is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from reucid_client.models import Job

Progress = Callable[[Job], None]


@contextmanager
def shown(wanted: bool, job: Job) -> Iterator[Progress | None]:
    """What to tell how a job stands; None if nobody wants to see it."""
    if not wanted:
        yield None
        return
    name = str(job.data.get("external_id") or job.id[:8])
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield _line(name)
        sys.stderr.write("\n")
        return
    with tqdm(total=100, desc=name, unit="%", bar_format="{desc}: {bar} {postfix}") as bar:

        def tell(job: Job) -> None:
            bar.set_postfix_str(job.stage or job.state, refresh=False)
            bar.update(int(100 * job.progress) - bar.n)
            bar.refresh()

        yield tell


def _line(name: str) -> Progress:
    def tell(job: Job) -> None:
        sys.stderr.write(f"\r{name}: {100 * job.progress:3.0f} % {job.stage or job.state:12s}")
        sys.stderr.flush()

    return tell
