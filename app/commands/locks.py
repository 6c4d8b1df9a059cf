"""A folder that one process has alone."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


class HeldError(Exception):
    """Another process has it, whose id is `holder`, as far as that can be told."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"process {holder}")
        self.holder = holder


def hold(path: Path, unprotected: Callable[[OSError], None]) -> BinaryIO:
    """Have a file, and what it stands for, alone for as long as it is open.

    The kernel sees to the rest, also when this process is killed. On a filesystem without locks
    `unprotected` is told so.

    Raises
    ------
    HeldError
    """
    file = path.open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read(20).decode("ascii", "replace").strip()
        file.close()
        raise HeldError(holder) from error
    except OSError as error:
        unprotected(error)
    file.truncate(0)
    file.write(f"{os.getpid()}\n".encode())
    file.flush()
    return file
