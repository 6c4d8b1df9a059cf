"""Zip files that nobody vouches for.

Entries are unpacked under names of our own, no longer than they may be; of bundles, only those
whose names are known.
"""

import io
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MAX_DIRECTORY = 2**20  # bytes of a zip's own list of its entries
CHUNK = 2**20
NOTHING: Mapping[str, int] = {}
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError)  # of an entry


class ArchiveError(Exception):
    """The file is not a zip, or holds what it should not."""


@dataclass(frozen=True)
class Unpacked:
    """The entries of a zip as files of ours.

    Parameters
    ----------
    files : dict of str to Path
    damaged : dict of str to str
        Entries that could not be read, and why.
    """

    files: dict[str, Path]
    damaged: dict[str, str]


def unpack_zip(
    path: Path,
    folder: Path,
    most: Callable[[str], int | None],
    *,
    total: int | None = None,
    wanted: Set[str] | None = None,
    justified: Mapping[str, int] = NOTHING,
) -> Unpacked:
    """Unpack a zip into an empty folder.

    Parameters
    ----------
    path : Path
    folder : Path
    most : callable
        Bytes that an entry of this name may have; None for one that may not be there.
    total : int, optional
        Bytes that all entries may have, held against the list of them before any is unpacked.
    wanted : set of str, optional
        Names to unpack; by default all.
    justified : mapping of str to int
        Bytes that an entry can need: one that says it has more is damaged, and not unpacked.

    Raises
    ------
    ArchiveError
    """
    unpacked = Unpacked({}, {})
    with opened(path) as archive:
        infos = _admitted(archive, most)
        _check_total(infos, path, total)
        for info in infos:
            name, needed = info.filename, justified.get(info.filename, info.file_size)
            if wanted is not None and name not in wanted:
                continue
            if info.file_size > needed:
                unpacked.damaged[name] = (
                    f"it has {info.file_size} bytes, by the report at most {needed}"
                )
                continue
            target = folder / f"{len(unpacked.files)}"
            try:
                copy(archive, info, target)
            except DAMAGE as error:
                unpacked.damaged[info.filename] = str(error) or type(error).__name__
                target.unlink(missing_ok=True)
            else:
                unpacked.files[info.filename] = target
    return unpacked


@contextmanager
def opened(path: Path, called: str | None = None) -> Iterator[zipfile.ZipFile]:
    """A zip whose list of entries is short; in messages it is called by its name or another.

    Raises
    ------
    ArchiveError
        Also when it turns out within the block that it is none.
    """
    try:
        with _Wary(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeError) as error:
        name = called or path.name
        raise ArchiveError(f"{name} is not a readable zip file: {error}") from error


def check_readable(info: zipfile.ZipInfo, name: str) -> None:
    """Refuse an entry that is encrypted, or packed in a way that few programs know.

    Raises
    ------
    ArchiveError
    """
    if info.flag_bits & 0x1:
        raise ArchiveError(f"got an encrypted {name}, expected a readable one")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(f"got {name} compressed by method {info.compress_type}, expected 0 or 8")


def _admitted(archive: zipfile.ZipFile, most: Callable[[str], int | None]) -> list[zipfile.ZipInfo]:
    known: set[str] = set()
    for info in archive.infolist():
        _admit(info, most(info.filename), known)
        known.add(info.filename)
    return archive.infolist()


def _check_total(infos: Sequence[zipfile.ZipInfo], path: Path, total: int | None) -> None:
    said = sum(info.file_size for info in infos)
    if total is not None and said > total:
        raise ArchiveError(
            f"got entries of {said} bytes, at most {total} are accepted in a file of "
            f"{path.stat().st_size}"
        )


def _admit(info: zipfile.ZipInfo, most: int | None, known: Set[str]) -> None:
    name = info.filename[:80]
    if most is None:
        raise ArchiveError(
            f"got an entry named {name!r}, which does not belong into a file of this kind"
        )
    if info.filename in known:
        raise ArchiveError(f"got two entries named {name!r}, expected one")
    check_readable(info, name)
    if info.file_size > most:
        raise ArchiveError(f"got {name} of {info.file_size} bytes, at most {most} are accepted")


def copy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """Unpack an entry, to no more than the bytes it states; raises one of `DAMAGE`."""
    if info.header_offset < 0:
        raise zipfile.BadZipFile("it begins before the file does")
    with archive.open(info) as entry, target.open("xb") as file:
        shutil.copyfileobj(entry, file, CHUNK)  # ends at the stated size
        if file.tell() != info.file_size:
            raise EOFError(f"got {file.tell()} bytes, expected {info.file_size}")


class _Wary(io.BufferedReader):
    """A file whose list of entries is not read when it is longer than any of ours."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.open("rb", buffering=0))

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise ArchiveError(f"got a list of entries of {size} bytes, expected a short one")
        return super().read(size)
