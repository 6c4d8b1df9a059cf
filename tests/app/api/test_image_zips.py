"""Batches of the images in a zip, and whatever else may come as one."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from tests.support.clients import problem
from tests.support.files import write_emi, write_ser
from tests.support.inprocess import Api, npy, running
from worker.contract import Scope

PARAMS = '{"method": "paper", "patch_size": 5, "components": 4}'


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("zips")
    with running(folder, max_queued_per_owner=10, max_upload_mib=4) as api:
        yield api


@pytest.fixture
def client(api: Api, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Of an owner of the test's own."""
    owner = f"lab-{abs(hash(request.node.name))}"
    with api.client(api.key(owner, Scope.SUBMIT, Scope.READ)) as client:
        yield client
    for place in ("uploads", "trash"):
        assert list((api.settings.data_dir / place).iterdir()) == []


def packed(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def sent(client: httpx.Client, content: bytes, **fields: str) -> httpx.Response:
    headers = {"Idempotency-Key": fields.pop("key")} if "key" in fields else {}
    files = {"file": ("images.zip", content)}
    data = {"params": PARAMS} | fields
    return client.post("/batches", files=files, data=data, headers=headers)


def nothing_of_it(client: httpx.Client) -> bool:
    """Whether its owner has no image and no job."""
    return client.get("/images").json()["images"] == client.get("/jobs").json()["jobs"] == []


def test_from_a_zip_to_results(api: Api, client: httpx.Client) -> None:
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, np.load(io.BytesIO(npy(3))))
    files = {
        "series/": b"",
        "series/b.npy": npy(1),
        "series/deep/b.npy": npy(2),
        "__MACOSX/series/._b.npy": b"litter",
        "series/.DS_Store": b"litter",
        "series/Thumbs.db": b"litter",
        "a.tif": tiff.getvalue(),
    }
    answer = sent(client, packed(files), name="z", labels='{"a": "1"}', sample_id="S1")
    assert answer.status_code == 202, answer.text
    assert (answer.json()["name"], answer.json()["counts"]["queued"]) == ("z", 3)
    assert answer.headers["location"] == answer.json()["links"]["self"] == "/v1/batches/z"
    jobs = client.get("/jobs", params={"batch": "z"}).json()["jobs"][::-1]
    assert [job["image_name"] for job in jobs] == ["b.npy", "b.npy", "a.tif"]
    assert all(job["labels"] == {"a": "1"} and job["sample_id"] == "S1" for job in jobs)
    assert {job["priority"] for job in jobs} == {"batch"}
    for job, seed in zip(jobs, (1, 2, 3), strict=True):
        raw = client.get(f"/images/{job['image_id']}/pixels", params={"format": "raw"})
        expected = np.load(io.BytesIO(npy(seed))).astype("<f4")
        np.testing.assert_array_equal(np.frombuffer(raw.content, "<f4"), expected.ravel())
    api.work(jobs[0]["id"])
    assert client.get("/batches/z").json()["counts"]["succeeded"] == 1


def test_an_emi_file_goes_with_its_ser_files(client: httpx.Client, tmp_path: Path) -> None:
    frames = np.random.default_rng(4).poisson(9, (3, 32, 40)).astype(np.uint16)
    write_emi(tmp_path / "a.emi")
    for n in (1, 2):
        write_ser(tmp_path / f"a_{n}.ser", frames[n : n + 1])
    write_ser(tmp_path / "alone_1.ser", frames[:1])
    read = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    files = {f"scan/{name.replace('a_', 'A_')}": content for name, content in read.items()}
    answer = sent(client, packed(files))
    assert answer.status_code == 202, answer.text
    assert answer.json()["total"] == 2
    images = {each["name"]: each for each in client.get("/images").json()["images"]}
    assert set(images) == {"a.emi", "alone_1.ser"}
    parts = [("file", (name, read[name])) for name in ("a.emi", "a_1.ser", "a_2.ser")]
    assert client.post("/images", files=parts).json()["id"] == images["a.emi"]["id"]


def test_repeated_with_its_key_without_unpacking_it(client: httpx.Client) -> None:
    content = packed({f"{n}.npy": npy(n) for n in range(6)})  # twice as many do not fit
    first = sent(client, content, key="k")
    assert first.status_code == 202
    again = sent(client, content, key="k")
    assert (again.status_code, again.json()) == (202, first.json())
    problem(sent(client, content, key="k", sample_id="S2"), 422, "idempotency_mismatch")
    problem(sent(client, packed({"0.npy": npy(0)}), key="k"), 422, "idempotency_mismatch")
    problem(sent(client, content), 429, "queue_full")
    assert len(client.get("/jobs").json()["jobs"]) == 6


@pytest.mark.parametrize("entered", [1, 2, 3])
def test_what_broke_off_half_way_is_completed_by_a_repetition(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, entered: int
) -> None:
    """Images are entered one by one, jobs all at once."""
    left = iter(range(entered - 1))

    def away(point: str) -> None:
        if point == "accept.entered" and next(left, None) is None:
            raise OperationalError("insert", {}, Exception("the ledger went away"))

    content = packed({f"{n}.npy": npy(n) for n in range(3)})
    with monkeypatch.context() as patched:
        patched.setattr("worker.acceptance.reached", away)
        problem(sent(client, content, key="k", name="whole"), 503, "ledger_unavailable")
    assert len(client.get("/images").json()["images"]) == entered
    assert client.get("/jobs").json()["jobs"] == []
    for _ in range(2):
        again = sent(client, content, key="k", name="whole")
        assert (again.status_code, again.json()["total"]) == (202, 3)
    assert len(client.get("/images").json()["images"]) == 3
    assert len(client.get("/jobs").json()["jobs"]) == 3


def test_names_may_be_as_long_as_the_list_of_them(client: httpx.Client) -> None:
    """What a child says of them is longer than the list of entries that a zip may have."""
    content = packed({f"{n:02}{chr(1) * 65_000}.npy": npy(n) for n in range(11)})
    problem(sent(client, content), 429, "queue_full")  # once it is known how many there are


def test_what_does_not_fit_the_queue_is_not_begun(client: httpx.Client) -> None:
    content = packed({f"{n}.npy": npy(n) for n in range(11)})
    problem(sent(client, content), 429, "queue_full")
    assert nothing_of_it(client)


def test_every_bad_file_is_named_and_no_good_one_is_kept(client: httpx.Client) -> None:
    files = {"good.npy": npy(1), "notes.txt": b"dear diary", "x/short.npy": npy(2)[:-5]}
    body = problem(sent(client, packed(files)), 422, "unsupported_format")
    assert body["detail"].startswith("notes.txt: ")
    assert "2 of 3" in body["detail"]
    assert [each["field"] for each in body["errors"]] == ["file/notes.txt", "file/x/short.npy"]
    assert nothing_of_it(client)


def test_parameters_have_to_fit_every_image(client: httpx.Client) -> None:
    files = {"large.npy": npy(1), "small.npy": npy(2, (7, 40))}
    answer = sent(client, packed(files), params='{"patch_size": 9, "method": "paper"}')
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("small.npy: ")
    problem(
        sent(client, packed({"a.npy": npy(1)}), params='{"patch_size": 4}'), 422, "invalid_request"
    )
    problem(sent(client, packed({"a.npy": npy(1)}), params="{"), 422, "invalid_request")
    problem(sent(client, packed({"a.npy": npy(1)}), surname="x"), 422, "invalid_request")
    assert nothing_of_it(client)


def linked(kind: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.npy", npy(1))
        info = zipfile.ZipInfo("link.npy")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return made.getvalue()


def encrypted() -> bytes:
    """Said to be, in both places where a zip says so."""
    content = bytearray(packed({"a.npy": npy(1)}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 1
    return bytes(content)


def twice() -> bytes:
    return packed({"a.npy": npy(1), "b.npy": npy(2)}).replace(b"b.npy", b"a.npy")


def lying(stated: int) -> bytes:
    """An entry that says it has another size than it has."""
    content = bytes(2**20)
    made = packed({"a.npy": content})
    assert made.count(struct.pack("<I", len(content))) == 2
    return made.replace(struct.pack("<I", len(content)), struct.pack("<I", stated))


def overlapping() -> bytes:
    """A thousand entries that share the bytes of one; each is packed no more than is allowed."""
    one = packed({"0000.npy": np.random.default_rng(1).bytes(2**20)}, zipfile.ZIP_STORED)
    start = one.index(b"PK\x01\x02")
    end = one.index(b"PK\x05\x06")
    line = one[start:end]
    lines = b"".join(line.replace(b"0000.npy", b"%04d.npy" % n) for n in range(500))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 500, 500, len(lines), start, 0)
    return one[:start] + lines + tail


HOSTILE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "no zip": (lambda: b"no zip at all", "invalid_archive", "not a readable zip"),
    "an image": (lambda: npy(1), "invalid_archive", "not a readable zip"),
    "nothing": (lambda: b"", "invalid_archive", "not a readable zip"),
    "empty": (lambda: packed({}), "invalid_archive", "without a file"),
    "folders alone": (lambda: packed({"a/": b"", "b/": b""}), "invalid_archive", "without a file"),
    "parent": (lambda: packed({"a/../../b.npy": npy(1)}), "invalid_archive", "below a folder"),
    "parent by \\": (lambda: packed({"a\\..\\b.npy": npy(1)}), "invalid_archive", "below a folder"),
    "absolute": (lambda: packed({"/etc/b.npy": npy(1)}), "invalid_archive", "below a folder"),
    "drive": (lambda: packed({"C:b.npy": npy(1)}), "invalid_archive", "below a folder"),
    "link": (lambda: linked(stat.S_IFLNK), "invalid_archive", "link.npy"),
    "device": (lambda: linked(stat.S_IFCHR), "invalid_archive", "link.npy"),
    "encrypted": (encrypted, "invalid_archive", "encrypted"),
    "one name twice": (twice, "invalid_archive", "2 entries named 'a.npy'"),
    "one name in two spellings": (
        lambda: packed({"x/a.npy": npy(1), "x\\.\\a.npy": npy(2)}),
        "invalid_archive",
        "2 entries named 'x/a.npy'",
    ),
    "one file twice": (
        lambda: packed({"a.npy": npy(1), "b.npy": npy(1)}),
        "invalid_archive",
        "as a.npy and as b.npy",
    ),
    "packed by LZMA": (
        lambda: packed({"a.npy": npy(1)}, zipfile.ZIP_LZMA),
        "invalid_archive",
        "compressed by method 14",
    ),
    "cut short": (lambda: packed({"a.npy": npy(1)})[:-30], "invalid_archive", "not a readable"),
    "more than it says": (lambda: lying(1000), "damaged_file", "a.npy"),
    "less than it says": (lambda: lying(2**20 + 7), "damaged_file", "a.npy"),
    "one file too large": (
        lambda: packed({"a.npy": bytes(4 * 2**20 + 1)}),
        "too_large",
        "max_upload",
    ),
    "all files too large": (
        lambda: packed({f"{n}.npy": bytes([n]) * 4 * 2**20 for n in range(5)}),
        "too_large",
        "max_unpacked",
    ),
    "entries that overlap": (overlapping, "too_large", "max_unpacked"),
    "too many": (
        lambda: packed({f"{n}.npy": b"%d" % n for n in range(501)}),
        "too_large",
        "max_batch",
    ),
    "a long list of entries": (
        lambda: packed({f"{n}{'x' * 200}.npy": b"" for n in range(4500)}),
        "invalid_archive",
        "list of entries",
    ),
    "a zip within": (
        lambda: packed({"a.npy": npy(1), "b.zip": packed({"c.npy": npy(2)})}),
        "unsupported_format",
        "b.zip",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_zips_are_refused_in_words(client: httpx.Client, name: str) -> None:
    make, code, told = HOSTILE[name]
    body = problem(sent(client, make()), 422, code)
    assert told in body["detail"]
    assert nothing_of_it(client)
    if code == "too_large":
        assert body["limit"]["name"] == told
        limits = client.get("/capabilities").json()["limits"]
        assert body["limit"]["value"] <= limits[told] * 16


@given(data=st.data())
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damage_is_refused_or_harmless(client: httpx.Client, data: st.DataObject) -> None:
    """A byte anywhere: what is then accepted is what was packed."""
    content = bytearray(packed({"a.npy": npy(1), "b.npy": npy(2)}))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    answer = sent(client, bytes(content), name="d")
    assert answer.status_code in (202, 422), answer.text
    if answer.status_code == 202:
        client.post("/batches/d/cancel")
        jobs = client.get("/jobs", params={"batch": "d"}).json()["jobs"]
        for image_id in {job["image_id"] for job in jobs}:
            got = client.get(f"/images/{image_id}/content").content
            assert got in (npy(1), npy(2))


@pytest.mark.parametrize("files", [0, 2])
def test_one_zip_is_expected(client: httpx.Client, files: int) -> None:
    content = packed({"a.npy": npy(1)})
    parts: Any = [("file", (f"{n}.zip", content)) for n in range(files)]
    parts += [("params", (None, PARAMS))]
    body = problem(client.post("/batches", files=parts), 422, "invalid_request")
    assert "expected one" in body["detail"]


def test_other_kinds_of_bodies_are_refused(client: httpx.Client) -> None:
    answer = client.post("/batches", content=b"x", headers={"Content-Type": "application/zip"})
    assert "multipart/form-data" in problem(answer, 415, "unsupported_media_type")["detail"]


def tight() -> dict[str, bytes]:
    """Images that are packed to a fraction."""
    blank = np.zeros((600, 600), np.uint16)
    blank[0] = np.arange(600)
    files = {}
    for n in range(3):
        blank[1] = n
        buffer = io.BytesIO()
        np.save(buffer, blank)
        files[f"{n}.npy"] = buffer.getvalue()
    return files


def test_what_the_disk_has_no_room_for_is_not_unpacked(
    api: Api, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(tight())
    left = api.settings.min_free + 4 * len(content)
    monkeypatch.setattr(api.services.store, "free", lambda: left)
    problem(sent(client, content), 507, "insufficient_storage")
    assert nothing_of_it(client)


def test_a_quota_counts_what_is_unpacked(tmp_path: Path) -> None:
    """The zip fits, its images do not."""
    files = tight()
    with (
        running(tmp_path, owner_quota_mib=3) as api,
        api.client(api.key("lab", Scope.SUBMIT, Scope.READ)) as client,
    ):
        problem(sent(client, packed(files), params="{}"), 507, "quota_exceeded")
        assert nothing_of_it(client)
        few = dict(list(files.items())[:1])
        assert sent(client, packed(few), params="{}").status_code == 202
