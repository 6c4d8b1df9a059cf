"""Copies on this machine: whole, bounded, and fetched anew where the disk has damaged them."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.store import cache as cache_module
from worker.store.cache import Cache

SIZE = 1000  # bytes of a copy


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def bringing(content: bytes, asked: list[str] | None = None) -> Callable[[str, Path], object]:
    def fetch(name: str, path: Path) -> None:
        if asked is not None:
            asked.append(name)
        path.write_bytes(content)

    return fetch


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    (tmp_path / "cache").mkdir()
    return Cache(tmp_path / "cache", 10 * SIZE, list)


def put(cache: Cache, n: int, *, age: float = 3600.0) -> Path:
    content = bytes([n]) * SIZE
    folder = cache.hold(digest(content), ["a"], bringing(content))
    os.utime(folder, (time.time() - age,) * 2)
    return folder


def test_a_copy_is_fetched_once(cache: Cache) -> None:
    asked: list[str] = []
    for _ in range(3):
        folder = cache.hold(digest(b"abc"), ["a"], bringing(b"abc", asked))
        assert (folder / "a").read_bytes() == b"abc"
    assert asked == ["a"]


def test_what_is_something_else_is_not_kept(cache: Cache, tmp_path: Path) -> None:
    assert not cache.hold(digest(b"abc"), ["a"], bringing(b"abd")).exists()
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_breaks_off_leaves_nothing(cache: Cache, tmp_path: Path) -> None:
    def fetch(name: str, path: Path) -> None:
        path.write_bytes(b"ab")
        raise OSError(name)

    with pytest.raises(OSError, match="a"):
        cache.hold(digest(b"abc"), ["a"], fetch)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_copy_is_fetched_anew(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache.hold(digest(b"abc"), ["a"], bringing(b"abc"))
    (folder / "a").write_bytes(b"abd")
    monkeypatch.setattr(cache_module, "CHECKED_FOR", 0.0)
    cache.hold(digest(b"abc"), ["a"], bringing(b"abc"))
    assert (folder / "a").read_bytes() == b"abc"


def test_what_was_used_longest_ago_goes_first(cache: Cache) -> None:
    folders = [put(cache, n, age=3600.0 - n) for n in range(15)]
    cache.tidy()
    assert [folder.exists() for folder in folders] == [False] * 5 + [True] * 10


def test_the_bound_holds_while_copies_come(cache: Cache, tmp_path: Path) -> None:
    for n in range(60):
        put(cache, n)
        held = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("a"))
        assert held <= 11 * SIZE


def test_what_is_in_use_stays(cache: Cache) -> None:
    folders = [put(cache, n, age=0.0) for n in range(15)]
    cache.tidy()
    assert all(folder.exists() for folder in folders)
    with (folders[0] / "a").open("rb") as file:
        cache.forget(folders[0].name)
        assert file.read() == bytes(SIZE), "whoever has it open keeps it"
