"""A file is read once a minute however often it is asked for, and whenever it was written."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from worker.store import checked
from worker.store.checked import Checked
from worker.store.files import sha256_of


class Reading:
    """Counts what is read, and says what time it is."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.now = 0.0
        self.ahead = 0.0  # s of the wall clock

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time() + self.ahead

    def sha256_of(self, *paths: Path) -> str:
        self.read += [path.name for path in paths]
        return sha256_of(*paths)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    reading = Reading()
    monkeypatch.setattr(checked, "time", reading)
    monkeypatch.setattr(checked, "sha256_of", reading.sha256_of)
    reading.ahead = 10.0
    return reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once_a_minute(reading: Reading, path: Path) -> None:
    known = Checked()
    for _ in range(3):
        assert known.sha256_of(path) == digest(b"content")
    assert reading.read == ["file"]
    reading.now += checked.CHECKED_FOR
    assert known.sha256_of(path) == digest(b"content")
    assert reading.read == ["file"] * 2


def overwrite(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"CONTENT")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"CONTENT")
    other.replace(path)


@pytest.mark.parametrize("write", [overwrite, replace])
def test_what_was_written_is_read_again_at_once(reading: Reading, path: Path, write: Any) -> None:
    known = Checked()
    assert known.sha256_of(path) == digest(b"content")
    write(path)
    assert known.sha256_of(path) == digest(b"CONTENT")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        known.sha256_of(path)
    assert reading.read == ["file"] * 2


def test_a_file_that_was_just_written_is_not_remembered(reading: Reading, path: Path) -> None:
    """A further write might not show in its times."""
    reading.ahead = -10.0
    known = Checked()
    for _ in range(2):
        known.sha256_of(path)
    assert reading.read == ["file"] * 2


def test_several_files_have_one_digest_and_the_oldest_is_forgotten(
    reading: Reading, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked, "MOST", 1)
    known, other = Checked(), path.with_name("other")
    other.write_bytes(b"more")
    for _ in range(2):
        assert known.sha256_of(path, other) == digest(b"contentmore")
    assert reading.read == ["file", "other"]
    known.sha256_of(path)
    known.sha256_of(path, other)
    assert reading.read == ["file", "other", "file", "file", "other"]
