"""What is visible in the store is whole."""

import hashlib
from pathlib import Path
from uuid import uuid4

import pytest

from worker.ledger.database import Database
from worker.store import FolderStore, sha256_of, write_atomic


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "data")


def test_only_its_owner_may_look_into_the_data_folder(tmp_path: Path) -> None:
    FolderStore(tmp_path / "data")
    Database.open(f"sqlite:///{tmp_path / 'other' / 'ledger.sqlite'}").close()
    for folder in ("data", "data/images", "data/jobs", "data/uploads", "data/trash", "other"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700


def test_an_accepted_upload_becomes_an_image(store: FolderStore) -> None:
    upload, image_id = store.new_upload(), uuid4().hex
    (upload / "original").write_bytes(b"bytes")
    (upload / "pixels.npy").write_bytes(b"pixels")
    store.accept(upload, image_id)
    assert not upload.exists()
    assert (store.image(image_id) / "original").read_bytes() == b"bytes"
    assert (store.image(image_id) / "pixels.npy").read_bytes() == b"pixels"
    store.discard(upload)  # as a request does at its end, accepted or not
    store.remove_image(image_id)
    assert not store.has_image(image_id)


def test_sealed_artifacts_carry_digest_and_size(store: FolderStore) -> None:
    job_id = uuid4().hex
    (store.attempt(job_id, 2) / "result.npy").write_bytes(b"abc")
    (sealed,) = store.seal(job_id, 2, ["result.npy"])
    assert (sealed.name, sealed.size) == ("result.npy", 3)
    assert sealed.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert (store.attempt(job_id, 2) / "result.npy").read_bytes() == b"abc"


def test_an_atomic_write_shows_nothing_before_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with write_atomic(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_atomic_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with write_atomic(path) as temporary:
            temporary.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("bad", ["", "..", "../../etc", "x" * 32, "A" * 32, "a/b", "a" * 31])
def test_ids_that_could_lead_out_are_refused(store: FolderStore, bad: str) -> None:
    for use in (store.image, store.has_image, store.remove_image, store.remove_job):
        with pytest.raises(ValueError, match="hexadecimal"):
            use(bad)
    with pytest.raises(ValueError, match="hexadecimal"):
        store.attempt(bad, 1)


def test_digest_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    assert sha256_of(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()
