"""Jobs that choose their classifier and what becomes of scan noise, over HTTP and by commands."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.commands import line, reucid
from tests.support.inprocess import Api, npy, running
from tests.support.models import write_model
from tests.worker.denoising.test_models import BAD
from worker.bundles.verification import verify
from worker.contract import JobRequest
from worker.denoising.model_files import DEFAULT, describe

SMALL = {"patch_size": 5, "components": 4}
OLD = SMALL | {"engine": "auto", "seed": 0, "signal": None, "frame": None, "frames": "each"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "second.safetensors", note="second")
    (folder / "bad.safetensors").write_text("not weights")
    return folder


@pytest.fixture(scope="module")
def api(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("choice"), model_dir=folder) as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def submit(client: httpx.Client, params: dict[str, Any], **headers: str) -> httpx.Response:
    form = {"params": json.dumps(SMALL | params)}
    return client.post("/jobs", files={"file": npy(3)}, data=form, headers=headers)


def worked(api: Api, client: httpx.Client, params: dict[str, Any]) -> dict[str, Any]:
    job = submit(client, params).json()
    api.work(job["id"])
    return dict(client.get(f"/jobs/{job['id']}").json())


def report(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    return dict(client.get(f"/jobs/{job['id']}/report").json())


@pytest.mark.parametrize("kind", ["a card of great depth", "half a character", "many digits"])
def test_a_bad_file_in_the_folder_is_nobodys_business(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    BAD[kind][0](models / "bad.safetensors")
    with running(tmp_path, model_dir=models) as api, api.client() as client:
        assert submit(client, {}).status_code == 202
        assert submit(client, {"model": "bad"}).status_code == 422
        for path in ("/models", "/capabilities"):
            assert "bad" not in client.get(path).text
    monkeypatch.setenv("REUCID_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REUCID_MODEL_DIR", str(models))
    reucid("doctor")
    output = capsys.readouterr().out
    assert BAD[kind][1] in line(output, "model: bad.safetensors")
    assert "it is not offered" in output


def test_what_can_be_chosen_is_listed(client: httpx.Client, folder: Path) -> None:
    models = client.get("/models").json()["models"]
    names = [model["name"] for model in models]
    assert names[0] == DEFAULT
    assert {"second"} <= set(names)
    assert "bad" not in names
    assert [model["name"] for model in models if model["default"]] == [DEFAULT]
    second = next(model for model in models if model["name"] == "second")
    info = describe(folder / "second.safetensors")
    assert (second["sha256"], second["identity"]) == (info.sha256, info.identity)
    assert second["card"]["note"] == "second"
    capabilities = client.get("/capabilities").json()
    assert capabilities["models"] == names
    assert capabilities["params"]["scan_noise"]["enum"] == ["auto", "keep", "remove"]
    assert str(folder) not in client.get("/models").text


@pytest.mark.parametrize("scan_noise", ["keep", "remove"])
def test_a_job_is_judged_as_it_chose(
    api: Api, client: httpx.Client, folder: Path, tmp_path: Path, scan_noise: str
) -> None:
    job = worked(api, client, {"model": "second", "scan_noise": scan_noise})
    assert (job["params"]["model"], job["params"]["scan_noise"]) == ("second", scan_noise)
    told = report(client, job)
    identity = describe(folder / "second.safetensors").identity
    assert (told["model"], told["scan_noise"]) == (identity, scan_noise)
    assert (told["parameters"]["model"], told["parameters"]["scan_noise"]) == ("second", scan_noise)
    table = client.get(f"/jobs/{job['id']}/report", headers={"Accept": "text/csv"}).text
    for row in csv.DictReader(io.StringIO(table)):
        assert (row["model"], row["scan_noise"]) == (identity, scan_noise)
    graph = client.get(f"/jobs/{job['id']}/provenance").json()["@graph"]
    record = {each["@id"]: each for each in graph}
    assert record["#model"]["sha256"] == describe(folder / "second.safetensors").sha256
    assert record["#given-model"]["value"] == record["#model"]["name"] == "second"
    for id_ in ("#given-scan_noise", "#resolved-scan_noise"):
        assert record[id_]["value"] == scan_noise
        assert {"@id": id_} in record["#denoising"]["object"]

    path = tmp_path / "bundle.zip"
    path.write_bytes(client.get(f"/jobs/{job['id']}/bundle.zip").content)
    found = {check.name: check for check in verify(path).checks}
    assert (found["checksums"].holds, found["rerun"].holds) == (True, None)
    assert f"{identity}, these are here: {DEFAULT}@" in found["rerun"].problems[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REUCID_MODEL_DIR", str(folder))
        assert verify(path).verified


def test_who_chooses_nothing_gets_the_default(api: Api, client: httpx.Client) -> None:
    told = report(client, worked(api, client, {}))
    (default,) = (m for m in client.get("/models").json()["models"] if m["default"])
    assert (told["model"], told["scan_noise"]) == (default["identity"], "keep")
    assert (told["parameters"]["model"], told["parameters"]["scan_noise"]) == (None, "auto")


@pytest.mark.parametrize("name", ["none", "bad", "../second", "/etc/passwd", "second.safetensors"])
def test_an_unknown_name_is_refused_and_the_known_are_named(
    client: httpx.Client, folder: Path, name: str
) -> None:
    image = client.post("/images", content=npy(3)).json()
    spec = {"image_id": image["id"], "params": {"model": name}}
    for response in (submit(client, {"model": name}), client.post("/jobs", json=spec)):
        body = response.json()
        assert (response.status_code, body["code"]) == (422, "invalid_request")
        (error,) = body["errors"]
        assert error["field"] == "params.model"
        assert f"expected one of {DEFAULT}" in error["message"]
        assert "second" in error["message"]
        assert str(folder) not in response.text


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"scan_noise": "maybe"}, "params.scan_noise"),
        ({"scan_noise": None}, "params.scan_noise"),
        ({"model": 1}, "params.model"),
        ({"model": "x" * 201}, "params.model"),
        ({"model": "a\x00b"}, "params.model"),
    ],
)
def test_what_cannot_be_a_choice_is_refused(
    client: httpx.Client, params: dict[str, Any], field: str
) -> None:
    response = submit(client, params)
    assert response.status_code == 422
    assert {error["field"].removesuffix(".str") for error in response.json()["errors"]} == {field}


def test_another_choice_is_another_submission(client: httpx.Client) -> None:
    key = {"Idempotency-Key": "k1"}
    first = submit(client, {"model": "second"}, **key).json()
    assert submit(client, {"model": "second", "scan_noise": "auto"}, **key).json() == first
    for other in ({}, {"model": DEFAULT}, {"model": "second", "scan_noise": "remove"}):
        refused = submit(client, other, **key)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_mismatch")


def test_two_scales_are_judged_by_the_noise_floor(api: Api, client: httpx.Client) -> None:
    job = worked(api, client, {"method": "two-scale", "components": None})
    told = client.get(f"/jobs/{job['id']}/report").json()
    assert (told["method"], told["scan_noise"]) == ("two-scale", "remove")
    assert told["model"].startswith("noise floor")
    for path in ("result", "residual", "coverage", "eigenpatches.png", "eigenpatches/1/1.png"):
        assert client.get(f"/jobs/{job['id']}/{path}").status_code == 200, path
    refused = submit(client, {"method": "two-scale", "components": None, "model": "second"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "params.model")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (Path.unlink, f"is gone: got 'brief', expected one of {DEFAULT}"),
        (lambda path: path.write_bytes(b"damaged"), "'brief' cannot be used: brief.safetensors"),
    ],
)
def test_a_file_that_vanishes_before_the_run_fails_its_job_alone(
    api: Api,
    client: httpx.Client,
    folder: Path,
    spoil: Callable[[Path], object],
    reason: str,
) -> None:
    path = write_model(folder / "brief.safetensors", note="brief")
    job = submit(client, {"model": "brief"}).json()
    spoil(path)
    api.work(job["id"])
    ended = client.get(f"/jobs/{job['id']}").json()
    assert (ended["state"], ended["error"]["code"]) == ("failed", "invalid_model")
    assert reason in ended["error"]["detail"]
    assert str(folder) not in ended["error"]["detail"]
    again = client.post(f"/jobs/{job['id']}/retry")
    assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "params.model")
    assert worked(api, client, {})["state"] == "succeeded"
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(("params", "method"), [({}, "two-scale"), (OLD, "paper")])
def test_a_job_of_an_older_ledger_runs(
    api: Api, client: httpx.Client, params: dict[str, Any], method: str
) -> None:
    """What it does not say has the default."""
    image = client.post("/images", content=npy(3)).json()
    job, _ = api.jobs.submit(JobRequest("local", image["id"], params))
    api.work(job.id)
    told = report(client, {"id": job.id})
    assert (told["method"], told["parameters"]["model"]) == (method, None)
    assert client.post(f"/jobs/{job.id}/retry").status_code == 202


# --- commands ---


@pytest.fixture
def named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REUCID_MODEL_DIR", str(folder))
    return folder


@pytest.mark.parametrize("by", ["name", "file"])
def test_denoise_takes_a_name_or_a_file(
    by: str, named: Path, tiff: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stated = tmp_path / "report.json", "second"
    if by == "file":
        monkeypatch.delenv("REUCID_MODEL_DIR")
        stated = str(named / "second.safetensors")
    outputs = ("-o", tmp_path / "out.npy", "--report", path, "--bundle", tmp_path / "b.zip")
    assert reucid("denoise", tiff, *outputs, "--model", stated, "--scan-noise", "remove") == 0
    told = json.loads(path.read_text())
    identity = describe(named / "second.safetensors").identity
    assert (told["model"], told["scan_noise"]) == (identity, "remove")
    assert told["parameters"]["model"] == "second", "no path in what is handed on"
    assert reucid("verify", tmp_path / "b.zip") == (0 if by == "name" else 1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--model", "none"), f"--model: got 'none', expected one of {DEFAULT}"),
        (("--model", "none.safetensors"), "no file none.safetensors"),
        (("--model", "BAD"), "not a readable safetensors file"),
        (("--scan-noise", "maybe"), "--scan-noise"),
    ],
)
def test_denoise_refuses_what_there_is_not(
    arguments: tuple[str, ...],
    reason: str,
    named: Path,
    tiff: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = str(named / "bad.safetensors")
    stated = [bad if word == "BAD" else word for word in arguments]
    assert reucid("denoise", tiff, "-o", tmp_path / "out.npy", *stated) == 2
    assert reason in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_submit_sends_the_choice(
    api: Api, client: httpx.Client, tiff: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = ("--model", "second", "--scan-noise", "remove")
    assert reucid("submit", tiff, "--server", api.url, *stated) == 0
    job = client.get(f"/jobs/{capsys.readouterr().out.strip()}").json()
    assert (job["params"]["model"], job["params"]["scan_noise"]) == ("second", "remove")
    assert reucid("submit", tiff, "--server", api.url, "--model", "none") == 2
    assert "second" in capsys.readouterr().err


@pytest.mark.parametrize("setting", ["REUCID_MODEL", "REUCID_MODEL_DIR"])
def test_a_server_does_not_start_without_what_it_is_told_to_use(
    setting: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(setting, str(folder / "bad.safetensors"))
    assert reucid("serve", "--port", "0", "--data-dir", tmp_path / "data") == 1
    assert "bad.safetensors" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("named")
def test_doctor_tells_of_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REUCID_DATA_DIR", str(tmp_path))
    reucid("doctor")
    lines = [each for each in capsys.readouterr().out.splitlines() if "model: " in each]
    told = "\n".join(lines)
    assert line(told, f"model: {DEFAULT}@").startswith("ok")
    assert line(told, "model: second@").startswith("ok")
    assert line(told, "model: bad.safetensors is not a readable").startswith("warning")
    assert "not offered" in told


def test_equal_weights_give_equal_results(api: Api, client: httpx.Client) -> None:
    """`second` differs from the bundled file by its card alone."""
    results = []
    for model in (DEFAULT, "second"):
        job = worked(api, client, {"model": model})
        content = client.get(f"/jobs/{job['id']}/result", params={"format": "npy"}).content
        results.append(np.load(io.BytesIO(content)))
    np.testing.assert_array_equal(*results)
