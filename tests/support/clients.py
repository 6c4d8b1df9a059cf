"""What a client of the API does again and again."""

import json
from pathlib import Path
from typing import Any

import httpx

SMALL = {"patch_size": 5, "stacks": 2, "components": 4}  # params of a job that is soon done


def submit(api: httpx.Client, path: Path, params: Any = None, **fields: str) -> dict[str, Any]:
    """Submit a file; the queued job."""
    response = api.post(
        "/jobs",
        files={"file": (path.name, path.read_bytes())},
        data={"params": json.dumps(params or {})} | fields,
    )
    assert response.status_code == 202, response.text
    assert response.headers["Location"] == f"/v1/jobs/{response.json()['id']}"
    return dict(response.json())


def finished(api: httpx.Client, job_id: str) -> dict[str, Any]:
    """Wait for a job; it has succeeded."""
    job = dict(api.get(f"/jobs/{job_id}", params={"wait": 60}).json())
    assert job["state"] == "succeeded", job
    return job


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is this problem; what it says."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = dict(response.json())
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["request_id"] == response.headers["x-request-id"]
    return body
