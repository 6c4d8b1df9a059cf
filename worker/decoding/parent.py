"""Decoding of files that nobody vouches for, in a child process with limits.

A child (`worker.decoding.apart`) may use so much memory and time and no more
(`worker.decoding.sandbox`), and leaves arrays and a JSON file, which are checked here like a
stranger's: nothing is unpickled.
"""

import errno
import json
import math
import os
import shutil
import signal
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import structlog
from pydantic import TypeAdapter

from worker.contract import FileInfo, ImageInfo
from worker.decoding.apart import run_apart
from worker.decoding.budget import within_budget
from worker.decoding.terms import ANSWER, DISK_FULL, PRINTED, DecoderError, Limits
from worker.formats.errors import FormatError
from worker.store import pixels_name

LONGEST_ANSWER = 16 * 2**20  # bytes
LONGEST_TEXT = 2**16  # characters of one text in an answer
LONGEST_PRINTED = 2000  # bytes that go to the log
FAILED = "the decoder failed, which is no word on the file: a fault of the program; it was logged"

_file_info = TypeAdapter(FileInfo)

log = structlog.get_logger()


def decode(source: Path, folder: Path, limits: Limits, companions: Sequence[Path] = ()) -> FileInfo:
    """Decode every image signal of a file into `folder / pixels_name(n)`.

    Raises
    ------
    FormatError
        When it is not an image that can be denoised, or takes too long or too much memory.
    DecoderError
        When the decoder failed, which is no fault of the file.
    """
    own = folder / "decoding"  # all that the child may write to
    own.mkdir(mode=0o700)
    try:
        files = [source, *companions]
        exit_code = _run(files, own, limits)
        if exit_code == -signal.SIGXCPU:
            raise _too_much_work(files, limits)
        info = within_budget(_read_answer(own, exit_code, limits))
        for index, image in enumerate(info.signals):
            _check_pixels(own / pixels_name(index), image)
        for index in range(len(info.signals)):
            (own / pixels_name(index)).rename(folder / pixels_name(index))
    finally:
        shutil.rmtree(own)
    return info


def _run(files: Sequence[Path], folder: Path, limits: Limits) -> int | None:
    status = run_apart(_in_child, (files, folder, limits), limits.seconds)
    if status is None:
        raise _too_slow(limits)
    return status


def _in_child(files: Sequence[Path], folder: Path, limits: Limits) -> None:
    from worker.decoding import (
        child,  # the server of children has it; nobody else needs the readers
    )

    child.decode(files, folder, limits)


def _read_answer(folder: Path, exit_code: int | None, limits: Limits) -> FileInfo:
    """What the child found.

    Raises
    ------
    FormatError
    DecoderError
    OSError
        When the disk is full.
    """
    if exit_code == DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    if exit_code == -signal.SIGALRM:
        raise _too_slow(limits)
    if exit_code != 0:
        log.warning("decoder_died", exit_code=exit_code, printed=printed(folder))
        raise DecoderError(f"{FAILED} (status {exit_code})")
    try:
        with _open_regular(folder / ANSWER) as file:
            answer = _plain(json.loads(file.read(LONGEST_ANSWER)))
        found = _refusal(answer) or _file_info.validate_python(answer["file"])
        if isinstance(found, FileInfo) and not 0 <= (found.default or 0) < len(found.signals):
            raise ValueError(f"got signal {found.default} of {len(found.signals)}")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _nonsense(error) from error
    if isinstance(found, FormatError):
        raise found
    return found


def _refusal(answer: dict[str, Any]) -> FormatError | None:
    """The reason why the child has no image."""
    if "refusal" not in answer:
        return None
    error = FormatError.from_dict(answer["refusal"])
    numbers = [getattr(error, name, 0) for name in ("most", "got")]
    if not str(error.code).isidentifier() or not all(type(n) in (int, float) for n in numbers):
        raise ValueError(f"got the refusal {answer['refusal']}")
    return error


def _check_pixels(path: Path, info: ImageInfo) -> None:
    """The array has to be what the child says it is, down to its last byte."""
    try:
        with _open_regular(path) as file:
            np.lib.format.read_magic(file)
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            size = file.tell() + math.prod(shape) * dtype.itemsize
            found = (shape, fortran, dtype.kind in "iuf", dtype.name, _size(file))
    except (OSError, ValueError) as error:
        raise _nonsense(error) from error
    if found != (info.shape, False, True, info.dtype, size) or len(shape) not in (2, 3):
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


def is_plain(path: Path) -> bool:
    """Whether what a child has left is a file, and not a way to another."""
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


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


def printed(folder: Path) -> str:
    """The end of what the child printed, for the log."""
    try:
        with _open_regular(folder / PRINTED) as file:
            file.seek(max(0, _size(file) - LONGEST_PRINTED))
            return file.read(LONGEST_PRINTED).decode("utf-8", "backslashreplace")
    except (OSError, ValueError):
        return ""


def _too_slow(limits: Limits) -> FormatError:
    return FormatError("too_slow", f"the file took more than {limits.seconds:g} s to decode")


def _too_much_work(files: Sequence[Path], limits: Limits) -> FormatError:
    size = sum(path.stat().st_size for path in files)
    return FormatError(
        "too_slow",
        f"the file took more than {limits.processor_seconds(size)} s of processor time to decode, "
        f"which is more than one of {size} bytes should",
    )


def _nonsense(reason: object) -> DecoderError:
    log.warning("decoder_answered_nonsense", reason=str(reason))
    return DecoderError(FAILED)
