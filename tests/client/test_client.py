"""From a file or an array to a result, and what a client sees when something is wrong."""

import asyncio
import base64
import hashlib
import io
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile

import reucid_client
from reucid_client import (
    AddressError,
    AsyncClient,
    Client,
    Job,
    JobError,
    ProblemError,
    UnreachableError,
)
from tests.client.conftest import IMPATIENT
from tests.support.inprocess import Api, npy

PARAMS: dict[str, Any] = {"patch_size": 5, "method": "paper"}


def image(seed: int) -> np.ndarray[Any, Any]:
    return np.load(io.BytesIO(npy(seed)))


def test_an_array_is_denoised_and_the_residual_is_the_rest(client: Client) -> None:
    noisy = image(1)
    kept = noisy.copy()
    result = client.denoise(noisy, **PARAMS, labels={"sample": "7"}, external_id="x-1")
    assert result.image.shape == noisy.shape
    np.testing.assert_allclose(result.image + result.residual, noisy, rtol=1e-5)
    np.testing.assert_array_equal(noisy, kept)
    assert result.report["patch_size"] == 5
    assert (result.job.data["labels"], result.job.data["external_id"]) == ({"sample": "7"}, "x-1")
    assert [job.id for job in client.jobs(external_id="x-1")] == [result.job.id]


def test_a_file_is_saved_with_its_calibration_whole_and_under_its_name(
    client: Client, tmp_path: Path
) -> None:
    source, target = tmp_path / "source.tif", tmp_path / "result.tif"
    tifffile.imwrite(source, image(2), imagej=True, resolution=(4, 4), metadata={"unit": "nm"})
    result = client.denoise(source, **PARAMS)
    assert result.save(target) == target
    with tifffile.TiffFile(target) as written:
        assert (written.imagej_metadata or {})["unit"] == "nm"
        np.testing.assert_allclose(written.asarray(), result.image, rtol=1e-6)
    assert result.save(tmp_path / "all.zip", part="bundle.zip").stat().st_size > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "all.zip",
        "result.tif",
        "source.tif",
    ]


def test_an_uploaded_image_serves_several_jobs(client: Client) -> None:
    uploaded = client.upload(image(3), name="three.npy")
    assert (uploaded.name, uploaded.shape) == ("three.npy", (32, 40))
    jobs = [client.submit(uploaded, **PARAMS, seed=seed) for seed in (1, 2)]
    assert len({job.id for job in jobs}) == 2
    assert all(client.wait(job.id).state == "succeeded" for job in jobs)
    with pytest.raises(ProblemError) as refused:
        client.delete_image(uploaded.id)
    assert (refused.value.status, refused.value.code) == (409, "conflict")


def test_images_are_denoised_together(client: Client) -> None:
    images = [client.upload(image(seed), name=f"{seed}.npy") for seed in (31, 32)]
    batch = client.submit_batch(images, batch="pair #1", **PARAMS, labels={"a": "1"}, key="pair")
    assert (batch["name"], batch["total"]) == ("pair #1", 2)
    repeated = client.submit_batch(images, batch="pair #1", **PARAMS, labels={"a": "1"}, key="pair")
    assert repeated["total"] == 2
    jobs = [client.wait(job.id) for job in client.jobs(batch="pair #1")]
    assert [job.state for job in jobs] == ["succeeded"] * 2
    assert client.batch("pair #1")["progress"] == 1
    assert client.cancel_batch("pair #1")["counts"]["succeeded"] == 2


def test_a_zip_is_denoised_file_by_file(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "series.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for seed in (36, 37):
            archive.writestr(f"scan/{seed}.npy", npy(seed))
    batch = client.submit_batch(path, batch="zipped", **PARAMS, labels={"a": "1"}, key="zip")
    assert client.submit_batch(path, batch="zipped", **PARAMS, labels={"a": "1"}, key="zip")
    assert (batch["name"], batch["total"]) == ("zipped", 2)
    looks: list[float] = []
    ended = client.wait_batch("zipped", tell=lambda batch: looks.append(batch["progress"]))
    assert ended["counts"]["succeeded"] == 2
    assert looks[-1] == 1
    table = client.download_summary("zipped", tmp_path / "summary.csv").read_text()
    assert ["36.npy" in table, "37.npy" in table, len(table.splitlines())] == [True, True, 3]
    path.write_bytes(b"no zip")
    with pytest.raises(ProblemError) as refused:
        client.submit_batch(path)
    assert refused.value.code == "invalid_archive"


def test_what_a_job_is_called_is_changed(client: Client) -> None:
    job = client.submit(image(33), **PARAMS, labels={"a": "1"})
    changed = client.describe(job.id, labels={"a": None, "b": "2"}, sample_id="S1")
    assert (changed.data["labels"], changed.data["sample_id"]) == ({"b": "2"}, "S1")


def test_a_key_makes_a_submission_safe_to_repeat(client: Client) -> None:
    first, again = (client.submit(image(4), key="four", **PARAMS) for _ in range(2))
    assert first.id == again.id
    assert client.submit(image(4), **PARAMS).id != first.id


def test_events_come_to_the_end_and_from_where_they_were(client: Client) -> None:
    job = client.submit(image(5), **PARAMS)
    events = list(client.events(job.id))
    assert (events[0].type, events[-1].type) == ("queued", "succeeded")
    assert list(client.events(job.id, after=events[1].id)) == events[2:]
    assert list(client.events(job.id, after=events[-1].id)) == []


def test_refusals_say_what_the_server_says(client: Client) -> None:
    with pytest.raises(ProblemError, match="even") as refused:
        client.denoise(image(6), patch_size=8)
    assert refused.value.code == "invalid_request"
    with pytest.raises(ProblemError, match="patchsize"):
        client.submit(image(6), patchsize=7)


@pytest.mark.parametrize(
    ("state", "error", "code"),
    [
        ("failed", {"code": "timeout", "detail": "too long"}, "timeout"),
        ("canceled", None, "canceled"),
    ],
)
def test_a_job_without_a_result_is_an_error_with_its_code(
    client: Client, state: str, error: dict[str, str] | None, code: str
) -> None:
    job = Job.of(dict(client.submit(image(7), **PARAMS).data) | {"state": state, "error": error})
    with pytest.raises(JobError) as failed:
        client.result(job)
    assert (failed.value.code, failed.value.job) == (code, job)


def test_a_format_that_nobody_writes_is_refused_before_asking(
    client: Client, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"\.tif"):
        client.download("0" * 32, tmp_path / "result.jpeg")


def test_all_of_it_with_await(api: Api, key: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncClient(api.url, key, retrying=IMPATIENT) as client:
            noisy = image(8)
            result = await client.denoise(noisy, **PARAMS, external_id="async")
            np.testing.assert_allclose(result.image + result.residual, noisy, rtol=1e-5)
            assert [event.type async for event in client.events(result.job.id)][-1] == "succeeded"
            assert (await result.save(tmp_path / "result.npy")).is_file()
            assert await client.ready() is False
            uploaded = await client.upload(noisy)
            batch = await client.submit_batch([uploaded], **PARAMS)
            ended = await client.wait_batch(batch["name"])
            assert ended["counts"]["succeeded"] == 1
            table = await client.download_summary(batch["name"], tmp_path / "summary.csv")
            assert "succeeded" in table.read_text()
            assert [job.id async for job in client.jobs(external_id="async")] == [result.job.id]
            with pytest.raises(ProblemError):
                await client.job("0" * 32)

    asyncio.run(run())


class Flaky(httpx.BaseTransport):
    """Fails before and after each request has reached the server, in turn."""

    def __init__(self, failures: list[str]) -> None:
        self._inner = httpx.HTTPTransport()
        self.failures = failures

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "before":
            raise httpx.ConnectError("refused")
        if failure == "503":
            return httpx.Response(503, headers={"Retry-After": "0"}, json={"code": "x"})
        response = self._inner.handle_request(request)
        if failure == "after":
            response.read()
            response.close()
            raise httpx.ReadError("the answer was lost")
        return response

    def close(self) -> None:
        self._inner.close()


def test_whatever_fails_for_a_while_makes_one_job(api: Api, key: str) -> None:
    flaky = Flaky(["before", "after", "503", "after", "before", "", "after", "503", "", "after"])
    with Client(api.url, key, retrying=IMPATIENT, transport=flaky) as client:
        result = client.denoise(image(9), **PARAMS, external_id="flaky")
        assert [job.id for job in client.jobs(external_id="flaky")] == [result.job.id]
    assert not flaky.failures


def test_a_server_that_stays_away_is_unreachable(api: Api) -> None:
    flaky = Flaky(["before"] * 100)
    impatient = reucid_client.Retrying(patience=0.05, first=0.01)
    with (
        Client(api.url, retrying=impatient, transport=flaky) as client,
        pytest.raises(UnreachableError, match="cannot reach"),
    ):
        client.job("0" * 32)


@pytest.mark.parametrize("address", ["localhost:8000", "http://[::1", "ftp://localhost", ""])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(AddressError, match="http://localhost:8000"):
        Client(address)
    with pytest.raises(AddressError, match="http://localhost:8000"):
        AsyncClient(address)


def test_whether_a_server_is_ready_is_asked_once(client: Client) -> None:
    assert client.ready() is False  # no worker, no queue: its jobs wait
    answers = [httpx.Response(200, json={"status": "ok"}), httpx.Response(503, json={})]
    transport = httpx.MockTransport(lambda _: answers.pop(0))
    with Client("http://server", transport=transport) as made:
        assert [made.ready(), made.ready()] == [True, False]
    away = Client("http://server", transport=Flaky(["before"]))
    with away, pytest.raises(UnreachableError):
        away.ready()


def test_a_name_that_is_not_utf_8_is_sent_with_marks(client: Client, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"gr\xfcn.npy")
    path.write_bytes(npy(38))
    assert client.upload(path).name == "gr\ufffdn.npy"


def test_a_body_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    class Torn(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            yield b"half"
            raise httpx.ReadError("torn")

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Torn()))
    impatient = reucid_client.Retrying(patience=0.05, first=0.01)
    with (
        Client("http://server", retrying=impatient, transport=transport) as client,
        pytest.raises(UnreachableError),
    ):
        client.download("0" * 32, tmp_path / "result.npy")
    assert list(tmp_path.iterdir()) == []


class Damaged:
    """A server between which and the client something changes what it sends, so many times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.content = npy(40)

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.times -= 1
        digest = base64.b64encode(hashlib.sha256(self.content).digest()).decode()
        sent = self.content[:-1] + b"?" if self.times >= 0 else self.content
        return httpx.Response(200, content=sent, headers={"Repr-Digest": f"sha-256=:{digest}:"})


def test_what_was_damaged_on_its_way_is_asked_for_again(tmp_path: Path) -> None:
    server = Damaged(times=2)
    with Client(
        "http://server",
        retrying=reucid_client.Retrying(first=0.01),
        transport=httpx.MockTransport(server),
    ) as client:
        path = client.download("0" * 32, tmp_path / "result.npy")
        assert path.read_bytes() == server.content
        server.times = 1
        assert np.array_equal(client.pixels("0" * 32), np.load(path))
        assert server.times == -1


def test_what_is_damaged_again_and_again_is_no_result(tmp_path: Path) -> None:
    with (
        Client(
            "http://server",
            retrying=reucid_client.Retrying(patience=0.05, first=0.01),
            transport=httpx.MockTransport(Damaged(times=10**6)),
        ) as client,
        pytest.raises(UnreachableError, match="SHA-256"),
    ):
        client.download("0" * 32, tmp_path / "result.npy")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_answers_at_once_is_not_asked_on_and_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one does that is about to end."""
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=pauses.append)
    job = {"id": "0" * 32, "stage": None, "progress": 0.0, "error": None}
    states = iter(("queued", "running", "succeeded"))
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, json=job | {"state": next(states)})
    )
    monkeypatch.setattr("reucid_client.synchronous.time", clock)
    with Client("http://server", transport=transport) as client:
        assert client.wait("0" * 32).state == "succeeded"
    assert pauses == [1.0, 1.0]


def test_an_answer_that_is_no_problem_document_is_told_by_its_status() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(418, text="<html>"))
    with (
        Client("http://server", transport=transport) as client,
        pytest.raises(ProblemError, match="418"),
    ):
        client.job("0" * 32)


def test_many_files_one_of_them_bad_and_again_without_new_jobs(
    client: Client, tmp_path: Path
) -> None:
    sources = []
    for seed in range(20, 24):
        path = tmp_path / f"{seed}.npy"
        path.write_bytes(npy(seed))
        sources.append(path)
    sources[2].write_bytes(b"no image")
    out = tmp_path / "out"

    def denoise() -> dict[str, reucid_client.Done]:
        made = reucid_client.denoise_files(client, sources, out, batch="many", **PARAMS)
        return {done.source.name: done for done in made}

    first = denoise()
    assert {name for name, done in first.items() if done.error} == {"22.npy"}
    assert sorted(path.name for path in out.iterdir()) == ["20.tif", "21.tif", "23.tif"]
    (out / "21.tif").unlink()  # as after an interruption
    again = denoise()
    assert (out / "21.tif").is_file()
    assert {done.job.id for done in again.values() if done.job} == {
        done.job.id for done in first.values() if done.job
    }
    assert len(list(client.jobs(batch="many"))) == 3


def test_files_of_one_name_are_not_written_over_each_other(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="several files"):
        list(reucid_client.denoise_files(client, ["a/x.tif", "b/x.emd"], tmp_path))


@pytest.mark.parametrize("folder", ["", "nested/.."])
def test_what_was_measured_is_never_overwritten(
    client: Client, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "nested").mkdir()
    source = tmp_path / "scan.tif"
    source.write_bytes(b"measured")
    with pytest.raises(ValueError, match="overwrite what was measured"):
        list(reucid_client.denoise_files(client, [source], tmp_path / folder, suffix=".tif"))
    assert source.read_bytes() == b"measured"


def test_a_file_may_have_the_longest_name(client: Client, tmp_path: Path) -> None:
    job = client.denoise(image(39), **PARAMS).job
    target = client.download(job.id, tmp_path / f"{'x' * 251}.npy")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_progress_is_shown_where_it_is_wanted(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    client.denoise(image(30), **PARAMS, external_id="bar", progress=True)
    assert "bar" in capsys.readouterr().err


@pytest.mark.parametrize("shape", [(32, 40), (2, 32, 40)])
def test_the_verdict_is_the_servers(
    api: Api, key: str, client: Client, shape: tuple[int, ...]
) -> None:
    result = client.denoise(np.load(io.BytesIO(npy(35, shape))))
    with api.client(key) as asking:
        told = asking.get(f"/jobs/{result.job.id}/verdict").json()["sentences"]
    assert list(result.verdict) == told != []
