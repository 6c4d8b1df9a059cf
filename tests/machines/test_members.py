"""What `reucid api`, `dispatch` and `work` promise by themselves."""

import json
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.clients import finished, submit
from tests.support.commands import reucid
from tests.support.inprocess import npy
from tests.support.servers import LONG, Members
from tests.support.waiting import until
from worker.processes import heartbeat, joining

NOBODY = "redis://user:secret@127.0.0.1:9"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A member's environment, whose queue and ledger get no time to come up."""
    monkeypatch.setattr(joining, "PATIENCE", 0.0)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process has handlers of its own
    monkeypatch.setenv("REUCID_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REUCID_REDIS_URL", NOBODY)
    return monkeypatch


WRONG: dict[str, tuple[str, str | None, int, str]] = {
    "no queue": ("REDIS_URL", None, 2, "REUCID_REDIS_URL is not set"),
    "no URL": ("REDIS_URL", "queue.example.org", 2, "must specify one of the following schemes"),
    "nobody there": ("REDIS_URL", NOBODY, 1, "the queue at redis://127.0.0.1:9 does not answer"),
    "no ledger's URL": ("DATABASE_URL", "ledger", 2, "REUCID_DATABASE_URL: "),
    "another database": ("DATABASE_URL", "mysql://db/ledger", 1, "got a ledger of kind 'mysql'"),
    "no database there": (
        "DATABASE_URL",
        "postgresql+psycopg://user:secret@127.0.0.1:9/ledger",
        1,
        "is the database running, and REUCID_DATABASE_URL right?",
    ),
    "no number": ("LEASE_S", "soon", 2, "REUCID_LEASE_S: "),
    "no folder": ("DATA_DIR", "/dev/null/data", 1, "Not a directory"),
}


@pytest.mark.parametrize("role", ["dispatch", "work"])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_told_in_a_line(
    role: str,
    name: str,
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    setting, value, status, said = WRONG[name]
    if value is None:
        environment.delenv(f"REUCID_{setting}")
    else:
        environment.setenv(f"REUCID_{setting}", value)
    assert reucid(role) == status
    (line,) = (each for each in capsys.readouterr().err.splitlines() if each.startswith("reucid:"))
    assert said in line
    assert "secret" not in line


@pytest.mark.usefixtures("environment")
def test_an_api_stays_on_this_machine_until_there_is_a_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert reucid("api", "--host", "192.0.2.1", "--port", "0") == 2
    assert "there is no valid key" in capsys.readouterr().err


@pytest.mark.parametrize("role", ["api", "dispatch", "work"])
def test_a_member_that_does_not_run_is_not_healthy(
    role: str,
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment.setenv("REUCID_PORT", "9")
    environment.setenv("REUCID_HEARTBEAT_FILE", str(tmp_path / "alive"))
    assert reucid("healthy", role) == 1
    assert ("does not answer" if role == "api" else "no sign of life") in capsys.readouterr().out


def events(client: httpx.Client, job_id: str) -> list[dict[str, Any]]:
    text = client.get(f"/jobs/{job_id}/events").text
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def test_members_are_well_and_a_stopped_worker_hands_its_job_back(
    members: Members, tmp_path: Path
) -> None:
    api, dispatcher, worker = (members.start(role) for role in ("api", "dispatch", "work"))
    for member in (api, dispatcher, worker):
        member.await_well()
    path = tmp_path / "image.npy"
    path.write_bytes(npy(shape=(320, 320)))
    with httpx.Client(base_url=f"{api.url}/v1", timeout=70) as client:
        load = "reucid_load 0.0"
        until(lambda: load in client.get("/metrics").text)
        job_id = submit(client, path, LONG)["id"]
        until(lambda: client.get(f"/jobs/{job_id}").json()["state"] == "running")
        assert "reucid_load 1.0" in client.get("/metrics").text
        assert worker.stop() == 0
        job = client.get(f"/jobs/{job_id}").json()
        assert (job["state"], job["attempt"]) == ("queued", 2)
        again = members.start("work")
        until(lambda: client.get(f"/jobs/{job_id}").json()["state"] == "running")
        client.post(f"/jobs/{job_id}/finish")
        finished(client, job_id)
        assert "worker_lost" not in client.get(f"/jobs/{job_id}/events").text
    assert again.stop() == 0
    assert dispatcher.stop() == 0
    assert api.stop() == -signal.SIGTERM  # as uvicorn ends: by the signal, once all is done


def test_a_hung_worker_is_not_healthy(members: Members, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = members.start("work")
    worker.await_well()
    worker.process.send_signal(signal.SIGSTOP)
    file = worker.settings.heartbeat_file
    assert file is not None
    monkeypatch.setattr("time.time", lambda: file.stat().st_mtime + heartbeat.SILENCE + 1)
    assert heartbeat.silent_for(worker.settings) > heartbeat.SILENCE
    worker.stop(signal.SIGKILL)


def test_a_stopped_api_lets_its_waiters_go(members: Members, tmp_path: Path) -> None:
    api = members.start("api")  # alone: the job waits for ever
    api.await_well()
    path = tmp_path / "image.npy"
    path.write_bytes(npy())
    with httpx.Client(base_url=f"{api.url}/v1", timeout=70) as client:
        job_id = submit(client, path)["id"]
        polled: list[httpx.Response] = []

        def poll() -> None:
            polled.append(httpx.get(f"{api.url}/v1/jobs/{job_id}?wait=60", timeout=70))

        thread = threading.Thread(target=poll)
        with client.stream("GET", f"/jobs/{job_id}/events") as stream:
            lines = stream.iter_lines()
            first = [next(lines), next(lines)]
            thread.start()
            until(lambda: connections(api.process.pid) == 2, "the poll has arrived")
            api.process.terminate()
            kinds = [line for line in [*first, *lines] if line.startswith("event: ")]
        thread.join()
    assert kinds == ["event: queued"]
    assert polled[0].json()["state"] == "queued"
    assert api.process.wait(20) == -signal.SIGTERM
    assert "timeout graceful shutdown exceeded" not in api.log.read_text()


def connections(pid: int) -> int:
    """How many clients a process has."""
    return sum(each.status == "ESTABLISHED" for each in psutil.Process(pid).net_connections("tcp"))
