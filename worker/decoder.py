"""Decoding of files that nobody vouches for, in a child process with limits.

A child is forked from a server that has the readers loaded and nothing else in it, so it costs
milliseconds. It may use so much memory and time and no more (`worker.sandbox`), and leaves an array
and a JSON file, which are checked here like a stranger's: nothing is unpickled.
"""

import errno
import json
import math
import multiprocessing
import os
import shutil
import signal
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import structlog
from pydantic import TypeAdapter

from worker import child
from worker.contract import ImageInfo, Limits
from worker.formats import FormatError
from worker.store import PIXELS

PLACES = os.cpu_count() or 1  # children that a server should run at a time
LONGEST_ANSWER = 16 * 2**20  # bytes
LONGEST_TEXT = 2**16  # characters of one text in an answer
LONGEST_MESSAGE = 500  # characters

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["__main__", "worker.child"])
_info = TypeAdapter(ImageInfo)

log = structlog.get_logger()


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
    own = folder / "decoding"  # all that the child may write to
    own.mkdir(mode=0o700)
    try:
        exit_code = _run(source, own, limits)
        info = _read_answer(own, exit_code, limits)
        _check_pixels(own / PIXELS, info)
        (own / PIXELS).rename(folder / PIXELS)
    finally:
        shutil.rmtree(own)
    return info


def _run(source: Path, folder: Path, limits: Limits) -> int | None:
    process = _context.Process(target=child.decode, args=(str(source), str(folder), limits))
    process.start()
    process.join(limits.seconds)
    if process.is_alive():
        process.kill()
        process.join()
        raise _too_slow(limits)
    return process.exitcode


def _read_answer(folder: Path, exit_code: int | None, limits: Limits) -> ImageInfo:
    """What the child found.

    Raises
    ------
    FormatError
    OSError
        When the disk is full.
    """
    if exit_code == child.DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    if exit_code in (-signal.SIGXCPU, -signal.SIGALRM):
        raise _too_slow(limits)
    if exit_code != 0:
        log.warning("decoder_died", exit_code=exit_code, printed=_printed(folder))
        raise FormatError("damaged_file", f"the file could not be decoded (status {exit_code})")
    try:
        with _open_regular(folder / child.ANSWER) as file:
            answer = _plain(json.loads(file.read(LONGEST_ANSWER)))
        if "refusal" in answer:
            code, message = str(answer["refusal"]["code"]), str(answer["refusal"]["message"])
            raise FormatError(code, message[:LONGEST_MESSAGE])
        return _info.validate_python(answer["image"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _nonsense(error) from error


def _check_pixels(path: Path, info: ImageInfo) -> None:
    """The array has to be what the child says it is, down to its last byte."""
    try:
        with _open_regular(path) as file:
            np.lib.format.read_magic(file)
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            size = file.tell() + math.prod(shape) * dtype.itemsize
            found = (shape, fortran, dtype.name, os.fstat(file.fileno()).st_size)
    except (OSError, ValueError) as error:
        raise _nonsense(error) from error
    if found != (info.shape, False, info.dtype, size):
        raise _nonsense(f"got pixels {found}, expected {info.shape} of {info.dtype}")


def _open_regular(path: Path) -> BinaryIO:
    """Open what a child has left, if it is a file and not a way to another."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb")
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        file.close()
        raise ValueError(f"got something other than a file at {path.name}")
    return file


def _plain(value: Any) -> Any:
    """Without what JSON or a database cannot hold: NaN, infinities, NUL and broken characters."""
    match value:
        case str():
            text = value[:LONGEST_TEXT].replace("\0", "\ufffd")
            return text.encode("utf-8", "replace").decode("utf-8")
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {_plain(key): _plain(item) for key, item in value.items()}
    return value


def _printed(folder: Path) -> str:
    """The end of what the child printed, for the log."""
    try:
        with _open_regular(folder / "printed") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LONGEST_MESSAGE))
            return file.read(LONGEST_MESSAGE).decode("utf-8", "backslashreplace")
    except (OSError, ValueError):
        return ""


def _too_slow(limits: Limits) -> FormatError:
    return FormatError("too_slow", f"the file took more than {limits.seconds:g} s to decode")


def _nonsense(reason: object) -> FormatError:
    log.warning("decoder_answered_nonsense", reason=str(reason))
    return FormatError("damaged_file", "the file could not be decoded")
