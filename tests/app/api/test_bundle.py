"""Bundles and provenance through the real server and the command line."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import tifffile
from rocrate.rocrate import ROCrate

from tests.support.clients import finished, submit
from tests.support.commands import reucid
from worker.ledger.database import Database
from worker.settings import Settings

PARAMS = {"patch_size": 7, "stacks": 2, "seed": 3}
PARTS = ["provenance", "bundle.zip", "bundle.eln"]


@pytest.fixture(scope="module")
def job(server: str, tiff: Path) -> dict[str, Any]:
    with httpx.Client(base_url=f"{server}/v1", timeout=70) as api:
        return finished(api, submit(api, tiff, PARAMS, sample_id="Probe µ7")["id"])


def entries(response: httpx.Response) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_bundle_of_a_job(api: httpx.Client, job: dict[str, Any], tiff: Path) -> None:
    response = api.get(job["links"]["bundle"].removeprefix("/v1"))
    assert (response.status_code, response.headers["content-type"]) == (200, "application/zip")
    held = entries(response)
    assert held["input.tif"] == tiff.read_bytes()
    assert held["result.npy"] == api.get(f"/jobs/{job['id']}/result?format=npy").content
    assert held["result.tif"] == api.get(f"/jobs/{job['id']}/result?format=tiff").content
    assert json.loads(held["report.json"]) == api.get(f"/jobs/{job['id']}/report").json()
    with tifffile.TiffFile(io.BytesIO(held["result.tif"])) as file:
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["unit"] == "nm"
    record = api.get(job["links"]["provenance"].removeprefix("/v1"))
    assert record.headers["content-type"].startswith("application/ld+json")
    assert record.content == held["ro-crate-metadata.json"]
    graph = {each["@id"]: each for each in record.json()["@graph"]}
    assert graph["#denoising"]["identifier"] == job["id"]
    assert graph["#denoising"]["startTime"][:19] == job["started_at"][:19]
    assert graph["#denoising"]["endTime"][:19] == job["finished_at"][:19]
    assert graph["#sample"]["name"] == "Probe µ7"
    assert graph["input.tif"]["name"] == "micrograph.tif"
    assert graph["#given-threads"]["value"] == 1


def test_the_hash_of_the_input_must_do(api: httpx.Client, job: dict[str, Any], tiff: Path) -> None:
    held = entries(api.get(f"/jobs/{job['id']}/bundle.zip", params={"input": False}))
    assert not any(name.startswith("input") for name in held)
    record = api.get(f"/jobs/{job['id']}/provenance", params={"input": False})
    assert record.content == held["ro-crate-metadata.json"]
    graph = {each["@id"]: each for each in record.json()["@graph"]}
    named = graph[graph["#denoising"]["object"][0]["@id"]]
    assert named["@id"].startswith("ni:///sha-256;")
    assert named["sha256"] == hashlib.sha256(tiff.read_bytes()).hexdigest()


@pytest.mark.parametrize("part", PARTS)
def test_it_is_the_same_each_time_it_is_asked_for(
    api: httpx.Client, job: dict[str, Any], data: Path, part: str
) -> None:
    url = f"/jobs/{job['id']}/{part}"
    first = api.get(url)
    tag = first.headers["etag"]
    assert api.get(url, headers={"If-None-Match": tag}).status_code == 304
    assert api.get(url, headers={"Range": "bytes=2-9"}).content == first.content[2:10]
    for path in (data / "jobs" / job["id"] / "renditions").iterdir():
        path.unlink()
    again = api.get(url)
    assert (again.headers["etag"], again.content) == (tag, first.content)


@pytest.mark.parametrize("part", PARTS)
def test_where_there_is_no_result_it_says_so(
    api: httpx.Client, tiff: Path, data: Path, part: str
) -> None:
    assert api.get(f"/jobs/{uuid4().hex}/{part}").status_code == 404
    slow = submit(api, tiff, {"patch_size": 31, "components": 900, "stacks": 1})
    early = api.get(f"/jobs/{slow['id']}/{part}")
    if early.status_code != 200:  # else the worker was faster than this test
        assert (early.status_code, early.json()["code"]) == (409, "not_ready")
    api.post(f"/jobs/{slow['id']}/cancel")
    ended = api.get(f"/jobs/{slow['id']}/{part}")
    if ended.status_code != 200:
        assert (ended.status_code, ended.json()["code"]) == (409, "no_result")
    old = finished(api, submit(api, tiff, PARAMS)["id"])
    database = Database(Settings(data_dir=data).ledger_url)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET expires_at = 1 WHERE id = '{old['id']}'")  # noqa: S608
    database.close()
    assert api.get(f"/jobs/{old['id']}/{part}").status_code == 410


def test_a_damaged_input_is_not_bundled(api: httpx.Client, data: Path, tiff: Path) -> None:
    with tifffile.TiffFile(tiff) as file:
        pixels = file.asarray()
    own = tiff.with_name("own.tif")
    tifffile.imwrite(own, pixels[::-1])
    job = finished(api, submit(api, own, PARAMS)["id"])
    original = data / "images" / job["image_id"] / "original"
    original.write_bytes(original.read_bytes()[:-1])
    response = api.get(f"/jobs/{job['id']}/bundle.zip")
    assert (response.status_code, response.json()["code"]) == (500, "damaged_image")


def test_fetched_and_verified(
    server: str,
    job: dict[str, Any],
    tiff: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "b.zip"
    assert reucid("bundle", job["id"], "-o", path, "--server", server) == 0
    assert reucid("verify", path) == 0
    said = capsys.readouterr().out
    assert said.count("ok   ") == 3
    assert said.rstrip().endswith("b.zip: verified")
    without_input = ("bundle", job["id"], "-o", path, "--server", server, "--no-input")
    assert reucid(*without_input) == 2, "nothing is overwritten"
    assert reucid(*without_input, "--overwrite") == 0
    capsys.readouterr()
    assert reucid("verify", path, "--no-rerun") == 1
    assert "NOT CHECKED  filter" in capsys.readouterr().out
    assert reucid("verify", path, "--input", tiff, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verified"] is True
    assert [check["name"] for check in found["checks"]] == ["checksums", "filter", "rerun"]
    assert all(check["holds"] and not check["problems"] for check in found["checks"])
    assert found["checks"][1]["deviations"]["result.npy"] <= 1e-4


def test_without_a_server(tiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "b.zip"
    status = reucid("denoise", tiff, "-o", tmp_path / "out.tif", "--bundle", path)
    assert status == 0
    assert reucid("verify", path, "--json") == 0
    capsys.readouterr()
    flipped = bytearray(path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    path.write_bytes(flipped)
    assert reucid("verify", path, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["verified"] is False
    assert "is damaged" in found["checks"][0]["problems"][0]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing.zip"], "no file at nothing.zip"),
        (["text.zip"], "text.zip is not a readable zip file"),
        (["text.zip", "--input", "nothing.tif"], "no file at nothing.tif"),
    ],
)
def test_what_is_not_a_bundle_is_one_line_and_exit_2(
    arguments: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.zip").write_text("dear diary")
    assert reucid("verify", *arguments) == 2
    assert reason in capsys.readouterr().err


def test_a_bundle_that_is_not_there_leaves_no_file(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("bundle", uuid4().hex, "-o", tmp_path / "b.zip", "--server", server)
    assert reucid(*arguments) == 2
    assert "no job" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_gets_an_eln_file(
    api: httpx.Client, job: dict[str, Any], tmp_path: Path
) -> None:
    response = api.get(job["links"]["eln"].removeprefix("/v1"))
    assert response.headers["content-type"] == "application/vnd.eln+zip"
    held = entries(response)
    (root,) = {name.split("/")[0] for name in held}
    assert root == "micrograph-denoised"
    document = json.loads(held[f"{root}/ro-crate-metadata.json"])
    graph = {each["@id"]: each for each in document["@graph"]}
    assert len(graph) == len(document["@graph"])
    descriptor = graph["ro-crate-metadata.json"]
    assert descriptor["conformsTo"]["@id"] == "https://w3id.org/ro/crate/1.1"
    assert descriptor["version"] == "1.0"
    assert graph[descriptor["sdPublisher"]["@id"]]["@type"] == "Organization"
    assert graph["./"]["hasPart"] == [{"@id": "./denoising/"}]
    experiment = graph["./denoising/"]
    assert experiment["@type"] == "Dataset"
    assert experiment["identifier"] == job["id"]
    assert graph[experiment["author"]["@id"]]["name"] == job["owner"]
    files = {part["@id"].removeprefix("./") for part in experiment["hasPart"]}
    assert {f"{root}/{name}" for name in files} | {f"{root}/ro-crate-metadata.json"} == set(held)
    for name in files:
        content, about = held[f"{root}/{name}"], graph[f"./{name}"]
        assert about["sha256"] == hashlib.sha256(content).hexdigest()
        assert about["contentSize"] == str(len(content))
        assert about["name"]
        assert about["encodingFormat"]
    bundled = entries(api.get(f"/jobs/{job['id']}/bundle.zip"))
    assert held[f"{root}/denoising/result.tif"] == bundled["result.tif"]
    named = {each["@id"] for value in graph.values() for each in _references(value)}
    local = {name for name in named if not name.startswith(("http", "ni:"))}
    assert local <= graph.keys(), "names nothing that is not there"

    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        archive.extractall(tmp_path)
    crate = ROCrate(tmp_path / root)
    assert crate.get("./denoising/result.tif").type == "File"


def _references(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
