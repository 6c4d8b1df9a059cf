"""Figures for Prometheus and the log agree with what happened."""

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.inprocess import Api, npy, running
from tests.support.servers import served
from tests.support.waiting import until
from worker.contract import Scope, State, Work
from worker.ledger.attempt import Attempt
from worker.ledger.database import Database
from worker.ledger.parts import Parts
from worker.ledger.tally import tally

PARAMS = {"patch_size": 5, "stacks": 2, "components": 4}


def scrape(url: str, **labels: str) -> dict[str, float]:
    text = httpx.get(f"{url}/metrics").text
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if labels.items() <= sample.labels.items()
    }


def submit(api: Api, seed: int) -> str:
    with api.client() as client:
        form = {"params": json.dumps(PARAMS)}
        return str(client.post("/jobs", files={"file": npy(seed)}, data=form).json()["id"])


def test_jobs_in_the_figures(tmp_path: Path) -> None:
    with running(tmp_path) as api, running(tmp_path) as other:
        first, second, third = (submit(api, seed) for seed in range(3))
        api.work(first)
        api.work(second)
        for url in (api.url, other.url, api.url):  # the same from any process, however often
            assert scrape(url, state="succeeded")["reucid_jobs"] == 2
            assert scrape(url, state="queued")["reucid_jobs"] == 1
            assert scrape(url, priority="interactive")["reucid_queue_depth"] == 1
            figures = scrape(url, state="succeeded")
            assert figures["reucid_job_seconds_count"] == 2
            assert scrape(url, priority="interactive")["reucid_job_wait_seconds_count"] == 2
            for stage in ("loading", "denoising", "saving"):
                assert scrape(url, stage=stage)["reucid_job_stage_seconds_count"] == 2
            plain = scrape(url)
            assert plain["reucid_longest_wait_seconds"] > 0
            assert plain["reucid_store_free_bytes"] > 0
            assert (plain["reucid_ledger_up"], plain["reucid_queue_up"]) == (1, 0)
            assert (plain["reucid_workers_alive"], plain["reucid_load"]) == (0, 1)
        stages = sum(
            scrape(api.url, stage=stage)["reucid_job_stage_seconds_sum"]
            for stage in ("loading", "denoising", "saving")
        )
        jobs = [api.jobs.get(job_id) for job_id in (first, second)]
        took = sum((job.finished_at or 0) - (job.started_at or 0) for job in jobs)
        assert stages == pytest.approx(took, abs=0.1)
        with api.client() as client:
            assert client.delete(f"/jobs/{first}").status_code == 204
        figures = scrape(api.url, state="succeeded")
        assert figures["reucid_job_seconds_count"] == 2, "counters never fall"
        assert figures["reucid_jobs"] == 1
        attempt = Attempt(api.database, third, 1, "worker")
        assert attempt.claim(60)
        assert Parts(api.database).spread(attempt, Work.FRAMES, [(0, 2), (2, 4)], 4)
        assert scrape(api.url)["reucid_load"] == 1 + 2  # parts wait for hands


def test_requests_are_counted_by_route(tmp_path: Path) -> None:
    with running(tmp_path) as api, api.client() as client:
        route = {"route": "/jobs/{job_id}", "method": "GET"}
        before = scrape(api.url, status="404", **route).get("reucid_http_request_seconds_count", 0)
        for n in range(3):
            client.get(f"/jobs/{n:032}")
        after = scrape(api.url, status="404", **route)
        assert after["reucid_http_request_seconds_count"] == before + 3
        assert after["reucid_http_request_seconds_sum"] > 0


def test_who_hangs_up_is_counted_for_what_it_is(tmp_path: Path) -> None:
    route = {"route": "/images", "method": "POST"}
    with running(tmp_path) as api:
        host, port = urlsplit(api.url).netloc.split(":")

        def counted(status: str) -> float:
            return scrape(api.url, status=status, **route).get(
                "reucid_http_request_seconds_count", 0
            )

        before = counted("400"), counted("500")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n"
                b"Content-Type: image/tiff\r\n\r\nII*"
            )
            until(lambda: any(tmp_path.glob("uploads/*")))
        until(lambda: counted("400") == before[0] + 1)
        assert counted("500") == before[1]


def test_who_may_see_the_figures(tmp_path: Path) -> None:
    proxied = {"X-Forwarded-For": "203.0.113.5"}

    def status(api: Api, key: str | None = None) -> int:
        headers = proxied | ({"X-API-Key": key} if key else {})
        return httpx.get(f"{api.url}/metrics", headers=headers).status_code

    with running(tmp_path) as api:
        assert status(api) == 401
        assert status(api, api.key("prometheus", Scope.READ)) == 200
        assert status(api, api.key("microscope", Scope.SUBMIT)) == 403
        assert httpx.get(f"{api.url}/metrics").status_code == 200, "this machine"
    with running(tmp_path, metrics_open=True) as api:
        assert status(api) == 200


def test_one_job_can_be_followed_through_all_logs(tmp_path: Path) -> None:
    data, stated = tmp_path / "data", {"REUCID_LOG_JSON": "1", "REUCID_LOG_LEVEL": "debug"}
    with (
        served(data, **stated) as server,
        httpx.Client(base_url=f"{server.url}/v1", timeout=60) as client,
    ):
        headers = {"X-Request-ID": "from-the-lims"}
        response = client.post("/jobs", files={"file": npy()}, headers=headers)
        job_id = response.json()["id"]
        ended = client.get(f"/jobs/{job_id}", params={"wait": 60}).json()
        assert ended["state"] == State.SUCCEEDED
        until(lambda: httpx.get(f"{server.url}/metrics").status_code == 200)
    said = server.log.read_text()
    logged = [line for line in said.splitlines() if not line.startswith("REUCID is at ")]
    lines: list[dict[str, Any]] = [json.loads(line) for line in logged]
    mine = [line for line in lines if line.get("request_id") == "from-the-lims"]
    assert {"accepted", "dispatched", "succeeded", "request"} <= {line["event"] for line in mine}
    for event in ("accepted", "dispatched", "succeeded"):
        assert [line["job_id"] for line in mine if line["event"] == event] == [job_id]
    looked = [line for line in lines if line["event"] == "request" and line["method"] == "GET"]
    assert any(line.get("job_id") == job_id for line in looked)
    assert "wait=" not in said


def test_the_tally_counts_each_event_once_in_any_portions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as api:
        for seed in range(2):
            api.work(submit(api, seed))
    monkeypatch.setattr("worker.ledger.tally.AT_ONCE", 3)
    database = Database.open(api.settings.ledger_url)
    first, again = tally(database), tally(database)
    assert first == again
    assert sum(first["stage", "saving"].counts) == 2
    assert first["job", "succeeded"].cumulative()[-1] == ("+Inf", 2.0)
    database.close()
