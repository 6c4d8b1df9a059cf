"""What a client of the API does again and again."""

import json
from pathlib import Path
from typing import Any

import httpx


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
