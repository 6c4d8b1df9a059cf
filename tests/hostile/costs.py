"""What decoding a file costs, as the kernel counts it: `python -m tests.hostile.costs`.

It reads lists of files as lines of JSON, decodes each list in a child of its own that has all
limits of a server's, and prints what came of it. A program apart, since it forks.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from worker.decoding.terms import ANSWER, Limits
from worker.settings import Settings

CRASHED = 70  # exit status of a child that raised what it should not


@dataclass(frozen=True)
class Cost:
    """Of decoding one list of files."""

    name: str
    processor: float  # s, of user and system
    peak: int  # bytes resident
    status: int  # how the child ended, as `os.waitstatus_to_exitcode` has it
    answer: dict[str, Any]  # empty when it left none

    @property
    def code(self) -> str:
        """Of the refusal; "accepted" for an image, empty for a child that left no answer."""
        if not self.answer:
            return ""
        refusal = self.answer.get("refusal")
        return str(refusal["code"]) if refusal else "accepted"


def costs(lists: Iterable[Sequence[Path]]) -> list[Cost]:
    """What each list of files costs, in a process that has nothing but the readers."""
    lines = "\n".join(json.dumps([str(path) for path in files]) for files in lists)
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.costs"],
        input=lines,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return [Cost(**json.loads(line)) for line in done.stdout.splitlines()]


def _cost(files: list[Path], limits: Limits) -> Cost:
    with TemporaryDirectory(prefix="reucid-") as folder:
        child = os.fork()
        if child == 0:
            _decode(files, Path(folder), limits)
        _, status, used = os.wait4(child, 0)
        answer = Path(folder) / ANSWER
        return Cost(
            name=files[0].name,
            processor=used.ru_utime + used.ru_stime,
            peak=used.ru_maxrss * 1024,
            status=os.waitstatus_to_exitcode(status),
            answer=json.loads(answer.read_text()) if answer.exists() else {},
        )


def _decode(files: list[Path], folder: Path, limits: Limits) -> None:
    from worker.decoding.child import decode

    status = CRASHED
    try:
        decode(files, folder, limits)
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}"[:300])
    finally:
        os._exit(status)


def main() -> None:
    """Serve lists from standard input."""
    import worker.decoding.child  # noqa: F401  (what a child has from the start)

    settings = Settings()
    limits = Limits(settings.max_pixels, settings.decode_timeout_s)
    for line in sys.stdin:
        cost = _cost([Path(each) for each in json.loads(line)], limits)
        sys.stdout.write(json.dumps(asdict(cost)) + "\n")


if __name__ == "__main__":
    main()
