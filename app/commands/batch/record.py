"""What is done, written down in the folder of the results: lines of JSON, which are only appended.

A line before a file is begun, under which name, and a line when it is done. So a result that is
there without being done is known to be half of our own work, and nobody else's. A line that a power
cut tore does not count. The last line about a file holds.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import typer

from app.commands import locks
from app.commands.batch import rows
from app.commands.batch.inputs import Source
from app.commands.batch.naming import key
from app.commands.batch.rows import Row
from worker.decoding.inspection import companions_of
from worker.store import sha256_of

BEGUN = "begun"
RECORD, LOCK = ".reucid-record.jsonl", ".reucid.lock"
STALE = re.compile(r"\.[0-9a-f]{32}\.tmp")  # of `write_atomic`, where the process was killed

Stamp = tuple[
    tuple[str, int, int], ...
]  # name, size, time of change in ns of a file and its series


@dataclass(frozen=True)
class Entry:
    """What came of a file.

    Parameters
    ----------
    stamp : Stamp
    content : str
        Digest of the file, and of those that belong to it; empty when it could not be read.
    order : str
        Digest of what was done with it.
    name : str
        Of the result, below the folder and without its ending.
    row : Row
    """

    stamp: Stamp
    content: str
    order: str
    name: str
    row: Row


def stamp_of(path: Path) -> Stamp:
    """By what a change of a file shows first.

    Raises
    ------
    OSError
    """
    found = ((each.name, each.stat()) for each in (path, *companions_of(path)))
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in found)


def content_of(digests: Mapping[Path, str]) -> str:
    """One digest of a file and of those that belong to it."""
    return hashlib.sha256("".join(digests.values()).encode()).hexdigest()


def content_now(path: Path) -> str:
    """The digest of a file and of those that belong to it, read anew."""
    return content_of({each: sha256_of(each) for each in (path, *companions_of(path))})


class Record:
    """The record in a folder, which one process at a time has."""

    def __init__(self, folder: Path, file: BinaryIO) -> None:
        self._file = file
        self._last: dict[str, Entry] = {}
        self._rows: dict[tuple[str, str], Row] = {}  # by file and result
        self._names: dict[str, str] = {}  # of results, by what a filesystem takes for one
        self._begun: dict[str, str] = {}  # names of results that may be there in part, by file
        for line in _lines(folder / RECORD):
            if BEGUN in line:
                self._begun |= line[BEGUN]
            else:
                self._know(_entry(line))

    def last(self, relative: PurePath) -> Entry | None:
        """What came of a file when it was last denoised."""
        return self._last.get(str(relative))

    def is_of_another(self, name: PurePath, relative: PurePath) -> bool:
        """Whether a result of this name was made of another file."""
        return self._names.get(key(name), str(relative)) != str(relative)

    def is_begun(self, name: PurePath, relative: PurePath) -> bool:
        """Whether what there is of a result was left when its making was stopped."""
        return self._begun.get(str(relative)) == str(name)

    def rows(self) -> list[Row]:
        """Of all results, and of files without one, in the order of the files' names."""
        return [self._rows[place] for place in sorted(self._rows)]

    def begin(self, given: Mapping[Source, PurePath]) -> None:
        """Write down under which names results are about to be made."""
        begun = {str(source.relative): str(name) for source, name in given.items()}
        self._append({BEGUN: begun})
        self._begun |= begun

    def add(self, entry: Entry) -> None:
        """Write down what came of a file."""
        self._append(asdict(entry))
        self._know(entry)

    def _append(self, line: dict[str, Any]) -> None:
        self._file.write(f"{json.dumps(line)}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _know(self, entry: Entry) -> None:
        self._last[entry.row.file] = entry
        self._rows.pop((entry.row.file, ""), None)
        self._rows[entry.row.file, entry.row.result] = entry.row
        if not entry.row.error:
            self._begun.pop(entry.row.file, None)
            self._names[key(PurePath(entry.name))] = entry.row.file


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """All that are whole."""
    for line in path.read_bytes().splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        yield values


def _entry(values: dict[str, Any]) -> Entry:
    stamp = tuple((str(name), int(size), int(at)) for name, size, at in values["stamp"])
    return Entry(**(values | {"stamp": stamp, "row": rows.from_dict(values["row"])}))


def exists_in(folder: Path) -> bool:
    """Whether results of earlier were written down there."""
    return (folder / RECORD).exists()


@contextmanager
def opened(folder: Path) -> Iterator[Record]:
    """The record in a folder, which is there; half files that were left are removed.

    Raises
    ------
    typer.BadParameter
        When another process writes there.
    """
    try:
        lock = locks.hold(folder / LOCK, lambda _: None)
    except locks.HeldError as error:
        message = f"another `reucid` ({error}) writes to {folder}: wait for it, or state another"
        raise typer.BadParameter(message, param_hint="--output") from error
    with lock, (folder / RECORD).open("ab+") as file:
        _end_line(file)
        _sweep(folder)
        yield Record(folder, file)


def _end_line(file: BinaryIO) -> None:
    """Begin a new line after one that was torn."""
    file.seek(0, os.SEEK_END)
    if file.tell():
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _sweep(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in filter(STALE.fullmatch, names):
            Path(place, name).unlink(missing_ok=True)
