"""A server at a glance."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import problem
from tests.support.inprocess import Api, npy, running
from worker.contract import Scope
from worker.ledger.attempt import Attempt
from worker.ledger.workers import Workers

PARAMS = json.dumps({"method": "paper", "patch_size": 5, "stacks": 2, "components": 4})


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("admin"), max_queued=77) as api:
        yield api


def test_owners_keys_queue_workers_and_disk(api: Api) -> None:
    boss = api.key("boss", Scope.ADMIN)
    for owner in ("lab-1", "lab-2"):
        with api.client(api.key(owner, Scope.SUBMIT, Scope.READ)) as client:
            jobs = [
                client.post("/jobs", files={"file": npy(n)}, data={"params": PARAMS}).json()["id"]
                for n in range(2)
            ]
            if owner == "lab-1":
                api.work(jobs[0])
    Workers(api.database).beat("worker-1")
    Workers(api.database).beat("worker-2")
    assert Attempt(api.database, jobs[1], 1, worker="worker-1").claim(60)

    with api.client(boss) as client:
        told = client.get("/admin/overview").json()

    owners = {each.pop("owner"): each for each in told["owners"]}
    assert set(owners) == {"boss", "lab-1", "lab-2"}
    assert owners["lab-1"]["jobs"] == {"succeeded": 1, "queued": 1}
    assert owners["lab-2"]["jobs"] == {"running": 1, "queued": 1}
    assert owners["lab-1"]["images"] == 2
    assert owners["boss"] == {
        "images": 0,
        "jobs": {},
        "stored": 0,
        "valid_keys": 1,
        "last_submitted_at": None,
    }
    for owner in ("lab-1", "lab-2"):
        assert owners[owner]["stored"] == api.jobs.used(owner) > 0
        assert owners[owner]["valid_keys"] == 1
        assert owners[owner]["last_submitted_at"].endswith("Z")
    assert told["keys"] == {"valid": 3, "expired": 0, "revoked": 0}
    assert told["queue"]["queued"] == {"interactive": 2, "batch": 0}
    assert (told["queue"]["running"], told["queue"]["max_queued"]) == (1, 77)
    assert told["queue"]["answers"] is False
    busy, idle = told["workers"]
    assert (busy["name"], busy["job_id"], busy["alive"]) == ("worker-1", jobs[1], True)
    assert busy["running_s"] >= 0
    assert (idle["name"], idle["job_id"], idle["running_s"]) == ("worker-2", None, None)
    assert told["disk"]["free"] <= told["disk"]["total"]
    assert told["disk"]["stored"] == sum(each["stored"] for each in owners.values())
    assert told["status"] == "degraded"
    assert "queue" in told["problems"][0]


def test_it_is_for_administrators(tmp_path: Path) -> None:
    with running(tmp_path) as api:
        key = api.key("lab", Scope.SUBMIT, Scope.READ)
        with api.client(key) as client:
            problem(client.get("/admin/overview"), 403, "missing_scope")
