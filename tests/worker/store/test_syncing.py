"""Everything is on disk before the ledger is told of it, however few syncs that takes."""

import errno
from pathlib import Path

import pytest

from worker.store import files, folder
from worker.store.folder import FolderStore

NAMES = ("result.npy", "report.json", "eigenpatches.npz")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is brought to disk, in that order."""
    found: list[Path] = []
    sync = files.sync

    def noting(path: Path) -> None:
        sync(path)
        found.append(path)

    for module in (files, folder):
        monkeypatch.setattr(module, "sync", noting)
    return found


def test_an_upload_is_on_disk_with_its_name_when_it_is_accepted(
    store: FolderStore, synced: list[Path]
) -> None:
    upload = store.new_upload()
    for name in ("original", "pixels.npy"):
        (upload / name).write_bytes(b"x")
    store.accept(upload, "0" * 32)
    image = store.image("0" * 32)
    assert {path.name for path in synced[:2]} == {"original", "pixels.npy"}
    assert synced[2:] == [image, image.parent]


def test_a_result_is_on_disk_with_every_folder_above_it(
    store: FolderStore, synced: list[Path]
) -> None:
    attempt = store.attempt("0" * 32, 1)
    for name in NAMES:
        (attempt / name).write_bytes(name.encode())
    made = store.seal("0" * 32, 1, NAMES)
    assert [each.name for each in made] == list(NAMES)
    assert set(synced[:3]) == {attempt / name for name in NAMES}
    assert synced[3:] == [attempt, *list(attempt.parents)[:3]]


def test_a_file_that_cannot_be_brought_to_disk_is_no_result(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = store.attempt("0" * 32, 1)
    for name in NAMES:
        (attempt / name).write_bytes(b"x")

    def full(path: Path) -> None:
        if path.name == NAMES[1]:
            raise OSError(errno.ENOSPC, "full", str(path))

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(OSError, match="full"):
        store.seal("0" * 32, 1, NAMES)
