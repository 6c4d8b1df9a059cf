"""What every store promises, in a folder and in a bucket."""

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import numpy as np
import pytest

from worker.contract import (
    Artifact,
    FileInfo,
    ImageInfo,
    ImageRecord,
    JobRecord,
    JobRequest,
    State,
)
from worker.store import DamagedError, Store, interim_name, sha256_of
from worker.store.bucket import BucketStore
from worker.store.interface import in_attempt

PIXELS = np.arange(120.0, dtype=np.float32).reshape(10, 12)
Machine = Callable[[str], Store]


def send(store: Store, *companions: bytes, content: bytes = b"bytes") -> ImageRecord:
    """An accepted image of two signals."""
    upload, image_id = store.new_upload(), uuid4().hex
    (upload / "original").write_bytes(content)
    for n, companion in enumerate(companions, start=1):
        (upload / f"companion-{n:04d}").write_bytes(companion)
    np.save(upload / "pixels.npy", PIXELS)
    np.save(upload / "pixels-1.npy", PIXELS + 1)
    signal = ImageInfo("npy", PIXELS.shape, "float32")
    info = store.with_digests(upload, FileInfo("npy", (signal, signal)))
    store.accept(upload, image_id)
    assert not upload.exists()
    whole = content + b"".join(companions)
    digest = sha256_of_bytes(whole)
    return ImageRecord(image_id, "someone", "a.npy", digest, len(whole), 0.0, info)


def test_levels_are_found_by_every_machine(machine: Machine) -> None:
    store = machine("first")
    upload, folder = store.new_upload(), uuid4().hex
    (upload / "original").write_bytes(b"bytes")
    for name, content in (("pixels", b"0"), ("pixels-1", b"1")):
        (upload / f"{name}.npy").write_bytes(content)
    (upload / "pixels-1.levels").write_bytes(b"means")
    (upload / "pixels-1.tiles").write_bytes(b"digests")
    signal = ImageInfo("npy", PIXELS.shape, "float32")
    info = store.with_digests(upload, FileInfo("npy", (signal, signal)))
    info = store.with_reduced(upload, info)
    store.accept(upload, folder)
    image = ImageRecord(folder, "someone", "a.npy", sha256_of_bytes(b"bytes"), 5, 0.0, info)
    none, reduced = info.reduced
    assert none is None
    assert reduced is not None
    for name in ("first", "second"):
        found = machine(name).levels(image, 1, reduced)
        assert [find().read_bytes() for find in found] == [b"means", b"digests"]
    machine("first").remove_image(folder)
    assert not any(find().exists() for find in machine("third").levels(image, 1, reduced))


def sha256_of_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def job(*artifacts: Artifact, attempt: int = 1, job_id: str = "") -> JobRecord:
    request = JobRequest("someone", "0" * 32, {})
    return JobRecord(
        job_id or uuid4().hex, 1, request, State.SUCCEEDED, attempt, 0.0, artifacts=artifacts
    )


def make(store: Store, content: bytes, job_id: str = "", attempt: int = 1) -> JobRecord:
    """A job whose attempt has left a result of these bytes."""
    job_id = job_id or uuid4().hex
    (store.attempt(job_id, attempt) / "result.npy").write_bytes(content)
    made = store.seal(job_id, attempt, ["result.npy"])
    store.leave(job_id, attempt)
    return job(*made, job_id=job_id, attempt=attempt)


def replace(store: Store, key: str, content: bytes) -> None:
    """Change what is stored behind everybody's back."""
    if isinstance(store, BucketStore):
        client, bucket = store._objects._client, store._bucket
        client.put_object(Bucket=bucket.name, Key=bucket.prefix + key, Body=io.BytesIO(content))
    else:
        (store.root / key).write_bytes(content)


def names(store: Store, kind: str) -> set[str]:
    """The folders with something in them; SeaweedFS keeps others for a while."""
    found = {name for some in store.walk(kind, 2) for name in some}
    if isinstance(store, BucketStore) and kind != "uploads":
        return {name for name in found if store._objects.exists(f"{kind}/{name}/")}
    return found


def test_an_image_is_found_by_every_machine(machine: Machine) -> None:
    image = send(machine("first"), b"one", b"two")
    for name in ("first", "second"):
        store = machine(name)
        assert [path.read_bytes() for path in store.sent_files(image)] == [b"bytes", b"one", b"two"]
        np.testing.assert_array_equal(store.load_pixels(image, 0), PIXELS)
        np.testing.assert_array_equal(store.load_pixels(image, 1), PIXELS + 1)
        assert store.is_intact(image)
        assert store.has_image(image.folder)


def test_a_copy_does_not_stand_for_what_is_stored(machine: Machine) -> None:
    """Else a file that is sent again would be taken for known, and no other machine find it."""
    store = machine("first")
    image = send(store)
    assert store.is_intact(image)
    store.remove_image(image.folder)
    assert not store.is_intact(image)


@pytest.mark.parametrize("name", ["original", "pixels.npy", "companion-0001"])
def test_an_image_that_was_changed_is_not_taken_for_what_it_was(
    machine: Machine, name: str
) -> None:
    image = send(machine("first"), b"one")
    replace(machine("first"), f"images/{image.folder}/{name}", b"changed")
    store = machine("second")
    assert not store.is_intact(image)
    with pytest.raises(DamagedError):
        store.load_pixels(image, 0) if name == "pixels.npy" else store.sent_files(image)


def test_an_image_that_is_gone_is_damaged(machine: Machine) -> None:
    image = send(machine("first"))
    machine("first").remove_image(image.folder)
    store = machine("second")
    assert not store.has_image(image.folder)
    with pytest.raises(DamagedError):
        store.sent_files(image)
    with pytest.raises(DamagedError):
        store.load_pixels(image, 0)
    store.remove_image(image.folder)  # once more is no error


def test_results_carry_digest_and_size(machine: Machine) -> None:
    done = make(machine("first"), b"abc", attempt=2)
    (held,) = done.artifacts
    assert held == Artifact("result.npy", hashlib.sha256(b"abc").hexdigest(), 3)
    path = machine("second").artifact(done, "result.npy")
    assert (path.name, path.read_bytes()) == ("result.npy", b"abc")


def test_a_result_that_was_changed_is_not_what_the_ledger_vouches_for(machine: Machine) -> None:
    done = make(machine("first"), b"abc")
    replace(machine("first"), f"{in_attempt(done.id, 1)}/result.npy", b"abd")
    path = machine("second").artifact(done, "result.npy")
    assert not path.exists() or sha256_of(path) != done.artifacts[0].sha256


def test_interim_results_are_there_while_the_attempt_goes_on(machine: Machine) -> None:
    store, running = machine("first"), job()
    (store.attempt(running.id, 1) / interim_name(3)).write_bytes(b"so far")
    made = store.publish(running.id, 1, interim_name(3))
    assert made.sha256 == hashlib.sha256(b"so far").hexdigest()
    assert machine("second").interim(running, 3, made.sha256).read_bytes() == b"so far"
    assert not machine("second").interim(running, 4, "0" * 64).exists()


def test_the_same_bytes_have_several_names(machine: Machine) -> None:
    """As where an interim result is the last one."""
    store, job_id = machine("first"), uuid4().hex
    for name in ("result.npy", interim_name(1)):
        (store.attempt(job_id, 1) / name).write_bytes(b"abc")
    done = job(*store.seal(job_id, 1, ["result.npy", interim_name(1)]), job_id=job_id)
    for name in ("first", "second"):
        digest = done.artifacts[0].sha256
        assert machine(name).artifact(done, "result.npy").read_bytes() == b"abc"
        assert machine(name).interim(done, 1, digest).read_bytes() == b"abc"


def test_what_is_sealed_again_is_the_same(store: Store) -> None:
    """As where the first try broke off."""
    job_id = uuid4().hex
    for name in ("a", "b"):
        (store.attempt(job_id, 1) / name).write_bytes(name.encode())
    with pytest.raises(FileNotFoundError):
        store.seal(job_id, 1, ["a", "b", "c"])
    (store.attempt(job_id, 1) / "c").write_bytes(b"c")
    made = store.seal(job_id, 1, ["a", "b", "c"])
    assert [each.name for each in made] == ["a", "b", "c"]


def test_a_removed_job_leaves_nothing(store: Store) -> None:
    done, other = make(store, b"abc"), make(store, b"abd")
    (store.renditions(done.id) / "result.png").write_bytes(b"picture")
    store.remove_job(done.id)
    assert names(store, "jobs") == {other.id}
    assert store.size_of_renditions([], [done.id]) == 0
    store.remove_job(done.id)


def test_only_what_is_older_goes(store: Store) -> None:
    done = make(store, b"first")
    make(store, b"second", done.id, attempt=2)
    image = send(store)
    store.remove_replaced(done.id, 2, older_than_s=3600)
    store.remove_stray("jobs", done.id, older_than_s=3600)
    store.remove_stray("images", image.folder, older_than_s=3600)
    assert (names(store, "jobs"), names(store, "images")) == ({done.id}, {image.folder})
    store.remove_replaced(done.id, 2, older_than_s=-3600)
    assert not store.has_image("0" * 32)
    store.remove_stray("images", image.folder, older_than_s=-3600)
    assert names(store, "images") == set()
    store.remove_stray("jobs", done.id, older_than_s=-3600)
    assert names(store, "jobs") == set()


def test_all_folders_are_walked(store: Store) -> None:
    made = {make(store, b"x").id for _ in range(5)}
    assert names(store, "jobs") == made
    assert all(len(some) <= 2 for some in store.walk("jobs", 2))
    upload = store.new_upload()
    assert names(store, "uploads") == {upload.name}


def test_one_of_many_takes_a_store(machine: Machine) -> None:
    store = machine("first")
    assert store.identity() is None
    with ThreadPoolExecutor(4) as pool:
        ids = [uuid4().hex for _ in range(4)]
        owners = set(pool.map(store.take, ids))
    (owner,) = owners
    assert owner in ids
    assert machine("second").identity() == owner


@pytest.mark.parametrize("bad", ["", "..", "../../etc", "x" * 32, "A" * 32, "a/b", "a" * 31])
def test_ids_that_could_lead_out_are_refused(store: Store, bad: str) -> None:
    for use in (store.has_image, store.remove_image, store.remove_job):
        with pytest.raises(ValueError, match="hexadecimal"):
            use(bad)
    with pytest.raises(ValueError, match="hexadecimal"):
        store.attempt(bad, 1)


def test_a_store_that_can_be_written_to_answers(store: Store) -> None:
    store.ping()
    assert names(store, "uploads") == set()
    assert 0 < store.free() <= store.space().total
