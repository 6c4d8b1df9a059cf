"""A received file becomes an image once, whole, or not at all."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from worker.acceptance import Acceptance, ReceivedFile
from worker.contract import FileInfo, ImageRecord
from worker.decoding.terms import Limits
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.store import ORIGINAL, FolderStore

PIXELS = np.arange(120.0, dtype=np.float32).reshape(10, 12)


class RefusedError(Exception):
    """As a check may raise."""


def refuse(*_: object) -> None:
    raise RefusedError


def agree(*_: object) -> None:
    pass


@pytest.fixture
def acceptance(database: Database, tmp_path: Path) -> Acceptance:
    return Acceptance(Images(database), FolderStore(tmp_path / "data"), Limits(2**20, 30.0))


def send(
    acceptance: Acceptance,
    *,
    check: Callable[[FileInfo], None] = agree,
    check_space: Callable[[], None] = agree,
) -> tuple[ImageRecord, bool]:
    folder = acceptance.store.new_upload()
    np.save(folder / "sent.npy", PIXELS)
    content = (folder / "sent.npy").rename(folder / ORIGINAL).read_bytes()
    file = ReceivedFile(folder, "a.npy", hashlib.sha256(content).hexdigest(), len(content))
    try:
        return acceptance.accept(file, owner="someone", check=check, check_space=check_space)
    finally:
        acceptance.store.discard(folder)  # as a request does at its end


def stored(acceptance: Acceptance) -> list[str]:
    return [name for names in acceptance.store.walk("images", 9) for name in names]


def test_what_is_accepted_can_be_denoised(acceptance: Acceptance) -> None:
    image, created = send(acceptance)
    assert created
    assert stored(acceptance) == [image.id]
    np.testing.assert_array_equal(acceptance.store.load_pixels(image, 0), PIXELS)


@pytest.mark.parametrize("checks", [{"check": refuse}, {"check_space": refuse}])
def test_nothing_is_left_of_what_is_refused(
    acceptance: Acceptance, checks: dict[str, Callable[..., None]]
) -> None:
    with pytest.raises(RefusedError):
        send(acceptance, **checks)
    assert stored(acceptance) == []
    assert send(acceptance)[1], "the ledger knows nothing of it either"


def test_what_is_there_takes_no_space_again(acceptance: Acceptance) -> None:
    first, _ = send(acceptance)
    assert send(acceptance, check_space=refuse) == (first, False)
    with pytest.raises(RefusedError):
        send(acceptance, check=refuse)


def test_a_damaged_image_is_replaced_by_what_is_sent(acceptance: Acceptance) -> None:
    first, _ = send(acceptance)
    acceptance.store.pixels(first).write_bytes(b"damaged")
    again, created = send(acceptance)
    assert (again.id, created) == (first.id, False)
    np.testing.assert_array_equal(acceptance.store.load_pixels(again, 0), PIXELS)
    assert stored(acceptance) == [again.folder]
    assert again.folder.startswith(f"{first.id}-"), "no file is ever written over"
