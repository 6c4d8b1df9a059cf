"""What a worker process is given and what it answers, of one file."""

from dataclasses import dataclass

from worker.local.decoding import Decoded
from worker.local.targets import Targets


@dataclass(frozen=True)
class Task:
    """A decoded file, and where everything of it goes; the two names are those for its row."""

    file: str
    result: str
    decoded: Decoded
    targets: Targets
