"""A zip of images that nobody vouches for, unpacked by a child process with limits.

What the zip says of its entries is held against the limits before anything is written; memory, time
and disk are the child's, which sees the zip and one empty folder (`worker.decoding.sandbox`). The
files are then decoded as any upload: here nothing is looked at but names and sizes.
"""

import errno
import json
import os
import re
import stat
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker import zips
from worker.decoding.apart import run_apart
from worker.decoding.parent import is_plain
from worker.decoding.sandbox import Allowance, enter
from worker.decoding.terms import ANSWER, DISK_FULL, DecoderError
from worker.formats.errors import FormatError, LimitError, exceeded
from worker.formats.file_limits import FREELY_DECODED, LARGEST_RATIO
from worker.formats.series import owner_of_series

SECONDS = 300.0  # of one unpacking
LONGEST_ANSWER = 2**22  # bytes
SHOWN = 120  # characters of an entry's name
ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")
SEPARATOR = re.compile(r"[/\\]+")
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # what systems leave in folders
BESIDE = "__MACOSX"  # a folder of what macOS keeps beside files


@dataclass(frozen=True)
class Terms:
    """What may be unpacked.

    Parameters
    ----------
    images, files_of_one : int
        Images, and files that one of them may have: an EMI file with its SER files.
    size, total : int
        Bytes of one file, and of all.
    """

    images: int
    files_of_one: int
    size: int
    total: int


@dataclass(frozen=True)
class Packed:
    """An image of a zip.

    Parameters
    ----------
    name : str
        Of its entry.
    path : Path
        Where it was unpacked to.
    companions : tuple of (str, Path)
        Names and places of the files that belong to it.
    """

    name: str
    path: Path
    companions: tuple[tuple[str, Path], ...] = ()

    @property
    def paths(self) -> list[Path]:
        return [self.path, *(path for _, path in self.companions)]


def unpack(path: Path, folder: Path, terms: Terms) -> list[Packed]:
    """Unpack all images of a zip into an empty folder, in the order of its list.

    Folders, and what systems leave in them, are passed over.

    Raises
    ------
    FormatError
        `invalid_archive` where it is no zip, or holds what does not belong into one of images;
        `too_compressed`, `damaged_file`; LimitError where it holds too much.
    """
    status = run_apart(_in_child, (path.resolve(), folder, terms), SECONDS)
    if status == DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    if status is None:
        raise FormatError("too_slow", f"the zip took more than {SECONDS:g} s to unpack")
    if status != 0:
        raise DecoderError(f"the process that unpacks zips failed (status {status})")
    with (folder / ANSWER).open("rb") as file:
        answer = json.loads(file.read(LONGEST_ANSWER))
    if "refusal" in answer:
        raise FormatError.from_dict(answer["refusal"])
    files = {str(name): folder / str(n) for n, name in enumerate(answer["names"])}
    _check_unpacked(files, terms)
    images = _images(files)
    if len(images) > terms.images:
        raise exceeded("max_batch", "images in the zip", terms.images, len(images))
    for each in images:
        if len(each.paths) > terms.files_of_one:
            found = f"files of {each.name[:SHOWN]}"
            raise exceeded("max_files", found, terms.files_of_one, len(each.paths))
    return images


def _check_unpacked(files: Mapping[str, Path], terms: Terms) -> None:
    """The child is not believed either."""
    plain = all(map(is_plain, files.values()))
    sizes = [path.lstat().st_size for path in files.values()] if plain else []
    if not plain or max(sizes, default=0) > terms.size or sum(sizes) > terms.total:
        raise DecoderError("the process that unpacks zips left what it should not")


def _images(files: Mapping[str, Path]) -> list[Packed]:
    """Each file, but for the SER files that go with an EMI file beside them."""
    emis = {name.lower() for name in files if name.lower().endswith(".emi")}
    series: dict[str, list[tuple[int, str]]] = {}
    for name in files:
        owner = owner_of_series(name)
        if owner is not None and owner[0] in emis:
            series.setdefault(owner[0], []).append((owner[1], name))
    companions = {name for some in series.values() for _, name in some}
    return [
        Packed(
            name,
            path,
            tuple((each, files[each]) for _, each in sorted(series.get(name.lower(), []))),
        )
        for name, path in files.items()
        if name not in companions
    ]


def _in_child(path: Path, folder: Path, terms: Terms) -> None:
    allowance = enter([path], folder, SECONDS)
    try:
        answer: dict[str, Any] = {"names": _unpack(path, folder, terms, allowance)}
    except FormatError as error:
        answer = {"refusal": error.to_dict()}
    except zips.ArchiveError as error:
        answer = {"refusal": FormatError("invalid_archive", str(error)).to_dict()}
    except MemoryError:
        message = "the zip needs more memory to unpack than one of its size should"
        answer = {"refusal": FormatError("invalid_archive", message).to_dict()}
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(DISK_FULL)
        raise
    (folder / ANSWER).write_text(json.dumps(answer))


def _unpack(path: Path, folder: Path, terms: Terms, allowance: Allowance) -> list[str]:
    """The names of what lies in the folder under 0, 1, 2 and so on."""
    with zips.opened(path, called="the file") as archive:
        listed = {name: info for info in archive.infolist() if (name := _name_of(info)) is not None}
        _check_listed(archive.infolist(), listed, path.stat().st_size, terms)
        allowance.admit(sum(info.file_size for info in listed.values()))
        for n, (name, info) in enumerate(listed.items()):
            try:
                zips.copy(archive, info, folder / str(n))
            except zips.DAMAGE as error:
                reason = str(error) or type(error).__name__
                raise FormatError("damaged_file", f"{name[:SHOWN]}: {reason}") from error
    return list(listed)


def _name_of(info: zipfile.ZipInfo) -> str | None:
    """The name of an entry, with `/` between folders; None for one that is passed over.

    Raises
    ------
    FormatError
        When it is no place below a folder, or no file.
    """
    stated, shown = info.filename, info.filename[:SHOWN]
    parts = [part for part in SEPARATOR.split(stated) if part not in ("", ".")]
    if ABSOLUTE.match(stated) or ".." in parts:
        raise _refused(f"got an entry named {shown!r}, expected a name below a folder")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(f"got {shown!r}, which is a link or a device, expected a file")
    is_folder = info.is_dir() or kind == stat.S_IFDIR
    if is_folder or not parts or parts[-1] in LITTER or BESIDE in parts:
        return None
    zips.check_readable(info, repr(shown))
    return "/".join(parts)


def _check_listed(
    listed: Sequence[zipfile.ZipInfo], files: Mapping[str, zipfile.ZipInfo], size: int, terms: Terms
) -> None:
    """Hold what the zip says against what it may hold, before anything is unpacked."""
    if not files:
        raise _refused("got a zip without a file, expected images")
    (name, count), *_ = Counter(filter(None, map(_name_of, listed))).most_common(1)
    if count > 1:
        raise _refused(f"got {count} entries named {name[:SHOWN]!r}, expected one of each name")
    most_files = terms.images * terms.files_of_one
    if len(files) > most_files:
        raise exceeded("max_batch", "files in the zip", most_files, len(files))
    for name, info in files.items():
        if info.file_size > terms.size:
            raise _too_large("max_upload", name, terms.size, info.file_size)
        _check_ratio(name[:SHOWN], info.file_size, info.compress_size)
    total = sum(info.file_size for info in files.values())
    if total > terms.total:
        raise _too_large("max_unpacked", "the zip", terms.total, total)
    _check_ratio("the zip", total, size)  # of entries that share their bytes, too


def _check_ratio(name: str, unpacked: int, packed: int) -> None:
    if unpacked > max(FREELY_DECODED, LARGEST_RATIO * packed):
        raise FormatError(
            "too_compressed",
            f"{name}: got {packed} bytes that unpack to {unpacked}, at most {LARGEST_RATIO} times "
            "as many are accepted",
        )


def _too_large(limit: str, name: str, most: int, got: int) -> LimitError:
    message = f"{name[:SHOWN]}: got {got} bytes unpacked, at most {most} are accepted ({limit})"
    return LimitError("too_large", message, limit, most, got)


def _refused(message: str) -> FormatError:
    return FormatError("invalid_archive", message)
