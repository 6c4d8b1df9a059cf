"""Many files through a server, a few at a time, so that it can be interrupted and go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from reucid_client import exchange
from reucid_client.errors import ReucidClientError
from reucid_client.models import Job
from reucid_client.synchronous import Client


@dataclass(frozen=True)
class Done:
    """What became of a file.

    Parameters
    ----------
    source, target : Path
    job : Job, optional
        None where it was not accepted.
    error : Exception, optional
        None where `target` is there.
    """

    source: Path
    target: Path
    job: Job | None
    error: Exception | None


def denoise_files(
    client: Client,
    sources: Iterable[str | Path],
    folder: str | Path,
    *,
    suffix: str = ".tif",
    concurrency: int = 4,
    **options: Any,
) -> Iterator[Done]:
    """Denoise files into a folder, and tell of each as it is done; one bad file stops no other.

    Called again after an interruption, it goes on: each submission has a key made of the file and
    the options, by which the server knows the job it had before.

    Parameters
    ----------
    client : Client
    sources : iterable of paths
    folder : path
        Is made. Results are named after the sources; ValueError where two have one name, or
        where one would be written over a source.
    suffix : str
        Of the results, which says their format.
    concurrency : int
        Files on their way at a time.
    **options
        As of `Client.denoise`.
    """
    folder = Path(folder)
    pairs = [(Path(source), folder / f"{Path(source).stem}{suffix}") for source in sources]
    targets = [target for _, target in pairs]
    twice = sorted(str(target) for target, count in Counter(targets).items() if count > 1)
    if twice:
        raise ValueError(f"got several files that would be written to {', '.join(twice)}")
    measured = {source.resolve() for source, _ in pairs}
    overwritten = sorted(str(target) for target in targets if target.resolve() in measured)
    if overwritten:
        raise ValueError(
            f"got a folder in which results would overwrite what was measured, as "
            f"{overwritten[0]}: expected another folder or suffix"
        )
    exchange.format_of(folder / f"x{suffix}")
    folder.mkdir(parents=True, exist_ok=True)
    waiting = iter(pairs)
    with ThreadPoolExecutor(concurrency) as pool:
        try:
            running: set[Future[Done]] = set()
            while True:
                for source, target in islice(waiting, concurrency - len(running)):
                    running.add(pool.submit(_denoise, client, source, target, options))
                if not running:
                    return
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


def _denoise(client: Client, source: Path, target: Path, options: Any) -> Done:
    job = None
    try:
        job = client.submit(source, key=exchange.key_of(source, options), **options)
        job = exchange.succeeded(client.wait(job.id))
        client.download(job.id, target)
    except (ReucidClientError, OSError) as error:
        return Done(source, target, job, error)
    return Done(source, target, job, None)
