"""Levels beside a large image are a help: what goes wrong with them refuses no image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worker.contract import FileInfo, ImageInfo
from worker.decoding.reducing import reduce_signals
from worker.pyramid.layout import Layout, beside
from worker.store import pixels_name

SHAPE = (2049, 2048)  # just large


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / pixels_name(0), np.zeros(SHAPE, np.uint8))
    return tmp_path


def reduced(folder: Path) -> list[bool]:
    """Which of the two files are there once the levels were to be written."""
    reduce_signals(folder, FileInfo("npy", (ImageInfo("npy", SHAPE, "uint8"),)))
    return [path.exists() for path in beside(folder / pixels_name(0))]


def away(*_: Any) -> int:
    raise BlockingIOError("no process")


def nothing(*_: Any) -> int:
    return 0


def linked(_: Any, arguments: tuple[Any, ...], __: float) -> int:
    """What a child might do that writes where it should not."""
    _, levels, tiles, size = arguments
    (levels.parent / "other").write_bytes(bytes(size))
    levels.symlink_to("other")
    tiles.write_bytes(bytes(Layout.of(SHAPE).table_size))
    return 0


def test_levels_are_written_beside_a_large_signal(folder: Path) -> None:
    assert reduced(folder) == [True, True]


@pytest.mark.parametrize("child", [away, nothing, linked])
def test_without_them_the_image_is_there_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, child: Callable[..., int]
) -> None:
    monkeypatch.setattr("worker.decoding.reducing.run_apart", child)
    assert reduced(folder) == [False, False]
    assert [path.name for path in folder.iterdir()] == [pixels_name(0)]
