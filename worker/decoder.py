"""Decoding of files that nobody vouches for, in a child process with limits.

A child is forked from a server that has the readers loaded and nothing else in it, so it costs
milliseconds; it may use so much memory and time and no more, and writes an array and a JSON file
that the parent reads. Nothing is unpickled.
"""

import contextlib
import errno
import json
import multiprocessing
import os
import resource
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worker.contract import FileInfo
from worker.formats import FormatError
from worker.store import pixels_name

if TYPE_CHECKING:
    from worker.formats.reading import Decoded

ADDRESS_SPACE = 2**30  # bytes beside the pixels: the interpreter, the libraries, the codecs
COPIES = 4  # of the pixels, that reading and checking them may hold at a time
WIDEST_PIXEL = 8  # bytes
DISK_FULL = 28  # exit status of a child that could not write its result
INFO, ERROR = "info.json", "error.json"

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["__main__", "worker.formats.reading"])
_places = threading.BoundedSemaphore(os.cpu_count() or 1)  # children at a time


@dataclass(frozen=True)
class Limits:
    """What decoding a file may take."""

    max_pixels: int
    seconds: float


def warm_up() -> None:
    """Start the server of children, so that the first upload need not wait for it."""
    process = _context.Process(target=os.getpid)
    process.start()
    process.join()


def decode(source: Path, folder: Path, limits: Limits, companions: Sequence[Path] = ()) -> FileInfo:
    """Decode every image signal of a file into `folder / pixels_name(n)`.

    Raises
    ------
    FormatError
        When it is not an image that can be denoised, or takes too long or too much memory.
    """
    child = _context.Process(target=_decode, args=(source, folder, limits, tuple(companions)))
    with _places:
        child.start()
        child.join(limits.seconds)
        if child.is_alive():
            child.kill()
            child.join()
            raise FormatError("too_slow", f"the file took more than {limits.seconds:g} s to decode")
    if child.exitcode == DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    if (folder / ERROR).exists():
        raise FormatError.from_dict(json.loads((folder / ERROR).read_text()))
    if child.exitcode != 0:
        raise FormatError(
            "damaged_file", f"the file could not be decoded (exit status {child.exitcode})"
        )
    return _load_info(folder)


def _load_info(folder: Path) -> FileInfo:
    info = FileInfo.from_dict(json.loads((folder / INFO).read_text()))
    (folder / INFO).unlink()
    return info


def _decode(source: Path, folder: Path, limits: Limits, companions: tuple[Path, ...]) -> None:
    """Run in the child."""
    from worker.formats import reading  # the server of children has it; nobody else needs it

    os.chdir(folder)
    _limit(resource.RLIMIT_AS, ADDRESS_SPACE + COPIES * WIDEST_PIXEL * limits.max_pixels)
    _limit(resource.RLIMIT_CPU, int(limits.seconds) + 1)
    _limit(resource.RLIMIT_CORE, 0)
    try:
        _save(folder, reading.read(source, max_pixels=limits.max_pixels, companions=companions))
    except FormatError as error:
        (folder / ERROR).write_text(json.dumps(error.to_dict()))
    except MemoryError:
        message = "the file needs more memory to decode than an image of its size should"
        (folder / ERROR).write_text(json.dumps({"code": "too_large", "message": message}))


def _save(folder: Path, decoded: "Decoded") -> None:
    try:
        for signal, pixels in enumerate(decoded.pixels):
            np.save(folder / pixels_name(signal), pixels, allow_pickle=False)
        (folder / INFO).write_text(json.dumps(asdict(decoded.info)))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(DISK_FULL)
        raise


def _limit(which: int, amount: int) -> None:
    with contextlib.suppress(ValueError):  # a lower hard limit is already in force
        resource.setrlimit(which, (amount, amount))
