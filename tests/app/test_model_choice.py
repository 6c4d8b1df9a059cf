"""`model` and `scan_noise` among a job's parameters, through a real server."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from worker.verification import verify


def submitted(api: httpx.Client, tiff: Path, params: dict[str, Any]) -> httpx.Response:
    files = {"file": (tiff.name, tiff.read_bytes())}
    return api.post("/jobs", files=files, data={"params": json.dumps(params)})


def report_of(api: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    state = api.get(f"/jobs/{job['id']}", params={"wait": 60}).json()["state"]
    assert state == "succeeded"
    report: dict[str, Any] = api.get(f"/jobs/{job['id']}/report").json()
    return report


@pytest.mark.parametrize("model", ["paper", "tuned"])
@pytest.mark.parametrize("scan_noise", ["keep", "remove"])
def test_a_job_is_done_with_what_it_names(
    api: httpx.Client, tiff: Path, tmp_path: Path, model: str, scan_noise: str
) -> None:
    params = {"model": model, "scan_noise": scan_noise, "patch_size": 7}
    answer = submitted(api, tiff, params)
    assert answer.status_code == 202
    report = report_of(api, answer.json())
    assert report["model"].startswith(f"{model}@sha256:")
    assert report["scan_noise"] == scan_noise
    card = api.get("/models").json()["models"][["tuned", "paper"].index(model)]["card"]
    assert report["threshold"] == card["thresholds"][scan_noise]

    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(api.get(f"/jobs/{answer.json()['id']}/bundle.zip").content)
    found = verify(bundle)
    assert found.verified
    assert {check.name: check.holds for check in found.checks}["rerun"] is True


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"model": "unet"}, "params.model"),
        ({"model": "../weights/paper"}, "params.model"),
        ({"scan_noise": "perhaps"}, "params.scan_noise"),
    ],
)
def test_what_is_not_there_is_refused(
    api: httpx.Client, tiff: Path, params: dict[str, Any], field: str
) -> None:
    answer = submitted(api, tiff, params)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
