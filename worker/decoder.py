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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worker import formats
from worker.contract import ImageInfo
from worker.formats import FormatError
from worker.store import PIXELS

ADDRESS_SPACE = 2**30  # bytes beside the pixels: the interpreter, the libraries, the codecs
COPIES = 4  # of the pixels, that reading and checking them may hold at a time
WIDEST_PIXEL = 8  # bytes
DISK_FULL = 28  # exit status of a child that could not write its result
INFO, ERROR = "info.json", "error.json"

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["__main__", "worker.formats"])
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


def decode(source: Path, folder: Path, limits: Limits) -> ImageInfo:
    """Decode a file into `folder / "pixels.npy"`.

    Raises
    ------
    FormatError
        When it is not an image that can be denoised, or takes too long or too much memory.
    """
    child = _context.Process(target=_decode, args=(str(source), str(folder), limits))
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
        error = json.loads((folder / ERROR).read_text())
        raise FormatError(error["code"], error["message"])
    if child.exitcode != 0:
        raise FormatError(
            "damaged_file", f"the file could not be decoded (exit status {child.exitcode})"
        )
    return _load_info(folder)


def _load_info(folder: Path) -> ImageInfo:
    fields: dict[str, Any] = json.loads((folder / INFO).read_text())
    fields["shape"] = tuple(fields["shape"])
    if fields["pixel_size"] is not None:
        fields["pixel_size"] = tuple(fields["pixel_size"])
    (folder / INFO).unlink()
    return ImageInfo(**fields)


def _decode(source: str, target: str, limits: Limits) -> None:
    """Run in the child."""
    folder = Path(target)
    os.chdir(folder)
    _limit(resource.RLIMIT_AS, ADDRESS_SPACE + COPIES * WIDEST_PIXEL * limits.max_pixels)
    _limit(resource.RLIMIT_CPU, int(limits.seconds) + 1)
    _limit(resource.RLIMIT_CORE, 0)
    try:
        pixels, info = formats.read(Path(source), max_pixels=limits.max_pixels)
        _save(folder, pixels, info)
    except FormatError as error:
        (folder / ERROR).write_text(json.dumps({"code": error.code, "message": str(error)}))
    except MemoryError:
        message = "the file needs more memory to decode than an image of its size should"
        (folder / ERROR).write_text(json.dumps({"code": "too_large", "message": message}))


def _save(folder: Path, pixels: formats.Pixels, info: ImageInfo) -> None:
    try:
        np.save(folder / PIXELS, pixels, allow_pickle=False)
        (folder / INFO).write_text(json.dumps(asdict(info)))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(DISK_FULL)
        raise


def _limit(which: int, amount: int) -> None:
    with contextlib.suppress(ValueError):  # a lower hard limit is already in force
        resource.setrlimit(which, (amount, amount))
