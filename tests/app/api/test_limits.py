"""Limits: each refusal names the limit, its value and what was got; nothing is left behind."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from app.api.routes.capabilities import limits
from tests.support.inprocess import Api, npy, running
from tests.support.lattices import add_image
from tests.support.servers import Valkey
from tests.support.waiting import until
from worker.contract import JobRequest, Room, Scope
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.ledger.refusals import QueueFullError
from worker.ledger.reservations import QuotaError, Reservation
from worker.ledger.tables import Now, reservations
from worker.settings import MIB, Settings

SUBMIT, READ, ADMIN = Scope.SUBMIT, Scope.READ, Scope.ADMIN
NAME = "max_queued_per_owner"


def refused(response: httpx.Response, status: int, code: str, name: str) -> dict[str, Any]:
    problem = dict(response.json())
    assert (response.status_code, problem["code"]) == (status, code), response.text
    assert problem["limit"]["name"] == name
    assert name in limits(Settings(owner_quota_mib=1)), "unknown to /v1/capabilities"
    for part in ("value", "got"):
        assert str(problem["limit"][part]).removeprefix(">").split("/")[0] in problem["detail"]
    return problem


def uploads(api: Api) -> list[Path]:
    return list((api.settings.data_dir / "uploads").iterdir())


def test_requests_of_a_key(tmp_path: Path, valkey: Valkey) -> None:
    with running(tmp_path, redis_url=valkey.url, rate_limit="5/minute") as api:
        busy, calm = (api.client(api.key("ada", READ)) for _ in range(2))
        with busy, calm:
            answers = [busy.get("/jobs") for _ in range(8)]
            assert [each.status_code for each in answers] == [200] * 5 + [429] * 3
            refused(answers[-1], 429, "rate_limited", "rate_limit")
            assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
            assert calm.get("/jobs").status_code == 200, "another key has its own count"
            assert httpx.get(f"{api.url}/readyz").status_code == 200, "health is not counted"
            valkey.process.kill()
            valkey.process.wait()
            # Whoever was refused is so for a second, uncounted; then nobody is kept out.
            until(lambda: busy.get("/jobs").status_code == 200, "without Redis, none is refused")


def test_queued_jobs(tmp_path: Path) -> None:
    with running(tmp_path, max_queued_per_owner=2, max_queued=3) as api:
        ada, bob = (api.client(api.key(name, SUBMIT, READ)) for name in ("ada", "bob"))
        with ada, bob:
            image = ada.post("/images", content=npy()).json()["id"]
            once = {"Idempotency-Key": "once"}
            first = ada.post("/jobs", json={"image_id": image}, headers=once)
            assert ada.post("/jobs", json={"image_id": image}).status_code == 202
            for options in (
                {"json": {"image_id": image}},
                {"files": {"file": npy(1)}},
                {"json": {"image_id": image}, "headers": {"Idempotency-Key": "another"}},
            ):
                response = ada.post("/jobs", **options)
                problem = refused(response, 429, "queue_full", "max_queued_per_owner")
                assert (problem["limit"]["value"], problem["limit"]["got"]) == (2, 3)
                assert int(response.headers["retry-after"]) > 0
            again = ada.post("/jobs", json={"image_id": image}, headers=once)
            assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
            assert bob.post("/jobs", files={"file": npy(2)}).status_code == 202
            response = bob.post("/jobs", files={"file": npy(3)})
            refused(response, 429, "queue_full", "max_queued")
            ada.post(f"/jobs/{first.json()['id']}/cancel")
            assert bob.post("/jobs", files={"file": npy(3)}).status_code == 202
            refused(ada.post(f"/jobs/{first.json()['id']}/retry"), 429, "queue_full", "max_queued")
            assert len(ada.get("/jobs").json()["jobs"]) == 2


def test_what_an_admin_submits_counts_against_whom_it_belongs_to(tmp_path: Path) -> None:
    with running(tmp_path, max_queued_per_owner=2) as api:
        ada, bob = (api.client(api.key(name, SUBMIT, READ)) for name in ("ada", "bob"))
        with ada, bob, api.client(api.key("root", ADMIN)) as admin:
            of_ada = ada.post("/images", content=npy(1)).json()["id"]
            of_bob = bob.post("/images", content=npy(2)).json()["id"]
            for seed in (3, 4):  # what an admin uploads is its own
                assert admin.post("/jobs", files={"file": npy(seed)}).status_code == 202
            response = admin.post("/jobs", files={"file": npy(5)})
            assert "of root" in refused(response, 429, "queue_full", NAME)["detail"]

            first = admin.post("/jobs", json={"image_id": of_ada})
            assert first.status_code == 202, "though its own queue is full"
            assert ada.get(f"/jobs/{first.json()['id']}").status_code == 200
            assert ada.post("/jobs", json={"image_id": of_ada}).status_code == 202
            for key in (None, "a key"):
                headers = {"Idempotency-Key": key} if key else {}
                body = {"image_id": of_ada}
                response = admin.post("/jobs", json=body, headers=headers)
                assert "of ada" in refused(response, 429, "queue_full", NAME)["detail"]
            assert admin.post("/jobs", json={"image_id": of_bob}).status_code == 202

            admin.post(f"/jobs/{first.json()['id']}/cancel")
            again = f"/jobs/{first.json()['id']}/retry"
            assert admin.post(again).status_code == 202
            assert "of ada" in refused(admin.post(again), 429, "queue_full", NAME)["detail"]


def test_an_admins_idempotency_key_is_that_of_whom_the_job_belongs_to(tmp_path: Path) -> None:
    once = {"Idempotency-Key": "once"}
    with running(tmp_path) as api:
        ada, admin = api.client(api.key("ada", SUBMIT, READ)), api.client(api.key("root", ADMIN))
        with ada, admin:
            image = {"image_id": ada.post("/images", content=npy(1)).json()["id"]}
            job = admin.post("/jobs", json=image, headers=once).json()["id"]
            assert ada.post("/jobs", json=image, headers=once).json()["id"] == job
            own = admin.post("/jobs", files={"file": npy(1)}, headers=once)
            assert own.status_code == 202, "the same key of another owner"
            assert own.json()["id"] != job


def test_the_quota_is_that_of_whom_a_job_belongs_to(tmp_path: Path) -> None:
    big = npy(1, (400, 500))  # 0.76 MiB, with its pixels
    with running(tmp_path, owner_quota_mib=1) as api:
        ada, admin = api.client(api.key("ada", SUBMIT, READ)), api.client(api.key("root", ADMIN))
        with ada, admin:
            of_ada = {"image_id": ada.post("/images", content=npy(2)).json()["id"]}
            assert admin.post("/images", content=big).status_code == 201
            response = admin.post("/images", content=npy(3, (400, 500)))
            assert "of root" in refused(response, 507, "quota_exceeded", "owner_quota")["detail"]
            job = admin.post("/jobs", json=of_ada).json()
            admin.post(f"/jobs/{job['id']}/cancel")
            image = ada.post("/images", content=big).json()["id"]
            done = ada.post("/jobs", json={"image_id": image, "params": {"patch_size": 5}})
            api.work(done.json()["id"])  # whose result is not promised before
            for response in (
                admin.post("/jobs", json=of_ada),
                admin.post(f"/jobs/{job['id']}/retry"),
            ):
                detail = refused(response, 507, "quota_exceeded", "owner_quota")["detail"]
                assert "of ada" in detail


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("route", ["/images", "/jobs"])
def test_size_of_an_upload(tmp_path: Path, route: str, declared: bool) -> None:
    with running(tmp_path, max_upload_mib=1) as api, api.client() as client:
        body = bytes(3 * MIB)
        form = httpx.Request("POST", api.url, files={"file": body})
        content = form.read() if declared else iter([form.read()])
        response = client.post(
            route, content=content, headers={"Content-Type": form.headers["Content-Type"]}
        )
        refused(response, 413, "too_large", "max_upload")
        assert uploads(api) == []


def test_free_space(tmp_path: Path) -> None:
    with running(tmp_path) as api, api.client() as client:
        job = client.post("/jobs", files={"file": npy()}).json()
        client.post(f"/jobs/{job['id']}/cancel")
    with running(tmp_path, min_free_mib=2**40) as api, api.client() as client:
        response = client.post(f"/jobs/{job['id']}/retry")
        refused(response, 507, "insufficient_storage", "min_free")
        for route in ("/images", "/jobs"):
            response = client.post(route, files={"file": npy()})
            refused(response, 507, "insufficient_storage", "min_free")
        assert uploads(api) == []
        assert client.get("/jobs").status_code == 200


def test_quota_of_an_owner(tmp_path: Path) -> None:
    big = npy(1, (600, 500))  # 0.57 MiB, and as much again decoded
    with running(tmp_path, owner_quota_mib=2) as api:
        ada, bob = (api.client(api.key(name, SUBMIT, READ)) for name in ("ada", "bob"))
        with ada, bob:
            image = ada.post("/images", content=big).json()
            used = api.jobs.used("ada")
            on_disk = sum(f.stat().st_size for f in tmp_path.glob("images/*/*"))
            assert used == on_disk > 2 * 600_000
            job = ada.post("/jobs", json={"image_id": image["id"], "params": {"patch_size": 5}})
            api.work(job.json()["id"])
            results = sum(f.stat().st_size for f in tmp_path.glob("jobs/*/attempts/1/*"))
            assert api.jobs.used("ada") == used + results > 2 * MIB
            for options in ({"files": {"file": npy(2)}}, {"json": {"image_id": image["id"]}}):
                refused(ada.post("/jobs", **options), 507, "quota_exceeded", "owner_quota")
            refused(
                ada.post("/images", content=iter([npy(3)])),
                507,
                "quota_exceeded",
                "owner_quota",
            )
            assert bob.post("/images", content=npy(2)).status_code == 201
            assert ada.delete(f"/jobs/{job.json()['id']}").status_code == 204
            assert ada.post("/images", content=npy(2)).status_code == 201
        assert uploads(api) == []


def test_a_repetition_is_answered_whatever_is_full(tmp_path: Path) -> None:
    big = npy(1, (600, 500))
    with running(tmp_path, owner_quota_mib=2) as api, api.client() as ada:
        image = ada.post("/images", content=big).json()
        wanted = {"image_id": image["id"], "params": {"patch_size": 5}}
        forms: list[dict[str, Any]] = [
            {"json": wanted, "headers": {"Idempotency-Key": "k1"}},
            {
                "files": {"file": big},
                "data": {"params": json.dumps(wanted["params"])},
                "headers": {"Idempotency-Key": "k2"},
            },
        ]
        first = [ada.post("/jobs", **form).json()["id"] for form in forms]
        api.work(first[0])
        refused(ada.post("/jobs", json=wanted), 507, "quota_exceeded", "owner_quota")
        assert [ada.post("/jobs", **form).json()["id"] for form in forms] == first


def test_a_form_without_a_length_ends_somewhere(tmp_path: Path) -> None:
    with running(tmp_path, max_upload_mib=1) as api, api.client() as client:
        form = httpx.Request("POST", api.url, files={"file": npy()})
        content = (form.read(), *[bytes(MIB)] * 3)
        headers = {"Content-Type": form.headers["Content-Type"]}
        response = client.post("/images", content=iter(content), headers=headers)
        refused(response, 413, "too_large", "max_upload")


@pytest.mark.parametrize(
    ("shape", "params"),
    [((60, 50), {"stacks": 3}), ((5, 60, 50), {}), ((4, 60, 50), {"frames": "joint"})],
)
def test_all_files_of_a_job_are_counted(
    tmp_path: Path, shape: tuple[int, ...], params: dict[str, Any]
) -> None:
    with running(tmp_path) as api, api.client() as client:
        form = {"params": json.dumps({"patch_size": 5} | params)}
        job = client.post("/jobs", files={"file": npy(4, shape)}, data=form).json()
        api.work(job["id"])
        files = [*tmp_path.glob("images/*/*"), *tmp_path.glob("jobs/*/attempts/1/*")]
        assert api.jobs.used("local") == sum(file.stat().st_size for file in files)


def test_headers_for_browsers(tmp_path: Path) -> None:
    with running(tmp_path) as api:
        for path in ("/v1/jobs", "/v1/nowhere", "/readyz", "/openapi.json"):
            headers = httpx.get(api.url + path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["content-security-policy"].startswith("default-src 'none'; frame")
            assert headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in headers
        page = httpx.get(f"{api.url}/docs")
        assert "script-src 'self' 'unsafe-inline'" in page.headers["content-security-policy"]


def test_other_sites_pages_only_when_told(tmp_path: Path) -> None:
    lims = "https://lims.example.org"
    with running(tmp_path, cors_origins=f"{lims} https://eln.example.org") as api:
        key = api.key("ada", READ)
        headers = {"Origin": lims, "Authorization": f"Bearer {key}"}
        response = httpx.get(f"{api.url}/v1/jobs", headers=headers)
        assert response.headers["access-control-allow-origin"] == lims
        assert "ETag" in response.headers["access-control-expose-headers"]
        ask = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key",
        }
        preflight = httpx.options(f"{api.url}/v1/jobs", headers={"Origin": lims} | ask)
        assert preflight.status_code == 200
        other = {"Origin": "https://example.org"}
        refused = httpx.options(f"{api.url}/v1/jobs", headers=other | ask)
        assert refused.status_code == 400
        assert (
            "access-control-allow-origin"
            not in httpx.get(f"{api.url}/v1/jobs", headers=headers | other).headers
        )


def test_room_is_exact_when_many_submit_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.ledger.database.BUSY_TIMEOUT", 600.0)  # however slow the disk is
    database = Database.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    image = add_image(database, owner="ada")

    def submit(_: int) -> bool:
        try:
            Jobs(database).submit(JobRequest("ada", image.id, {}), room=Room(7, 100))
        except QueueFullError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(submit, range(24))) == 7
    database.close()


def test_uploads_at_once_do_not_exceed_the_quota(tmp_path: Path) -> None:
    """Each by itself has room, all of them have not; and what is decoded counts, too."""
    with running(tmp_path, owner_quota_mib=4) as api:
        with api.client(api.key("ada", SUBMIT, READ)) as ada, ThreadPoolExecutor(8) as pool:
            files = [npy(n, (600, 500)) for n in range(8)]  # 1.14 MiB each, with its pixels
            answers = list(pool.map(lambda file: ada.post("/images", content=file), files))
            assert api.jobs.used("ada") <= 4 * MIB
            accepted = [answer for answer in answers if answer.status_code == 201]
            assert 1 <= len(accepted) <= 3
            for answer in answers:
                if answer not in accepted:
                    refused(answer, 507, "quota_exceeded", "owner_quota")
            while len(accepted) < 3:  # what was promised to the others is free again
                accepted.append(ada.post("/images", content=npy(99 + len(accepted), (600, 500))))
                assert accepted[-1].status_code == 201
            one_more = ada.post("/images", content=npy(999, (600, 500)))
            refused(one_more, 507, "quota_exceeded", "owner_quota")
        assert uploads(api) == []


def test_what_is_on_its_way_has_its_space_before_it_comes(tmp_path: Path) -> None:
    with (
        running(tmp_path, owner_quota_mib=2) as api,
        ThreadPoolExecutor(1) as pool,
        api.client(api.key("ada", SUBMIT, READ)) as ada,
    ):
        begun, go_on = threading.Event(), threading.Event()

        def slowly() -> Iterator[bytes]:
            yield content[:1000]
            begun.set()
            go_on.wait(60)
            yield content[1000:]

        content = npy(1, (600, 700))
        stated = {"Content-Length": str(len(content))}
        first = pool.submit(ada.post, "/images", content=slowly(), headers=stated)
        begun.wait(60)
        until(lambda: uploads(api), "it has begun")
        until(lambda: reserved(api) == len(content), "it has its space")
        refused(
            ada.post("/images", content=npy(2, (1000, 1000))),
            507,
            "quota_exceeded",
            "owner_quota",
        )
        go_on.set()
        assert first.result().status_code == 201
        assert reserved(api) == 0


def reserved(api: Api) -> int:
    """Bytes that uploads have been promised."""
    with api.database.reading() as connection:
        return sum(connection.execute(select(reservations.c.size)).scalars())


def test_what_died_within_an_upload_takes_nothing_for_ever(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/ledger.sqlite")
    Reservation(database, "1" * 32, "ada", 100).claim(90)
    with pytest.raises(QuotaError, match="120 bytes, at most 100"):
        Reservation(database, "2" * 32, "ada", 100).claim(30)
    Reservation(database, "3" * 32, "bob", 100).claim(30)
    with database.writing() as connection:
        connection.execute(update(reservations).values(until=Now() - 1))
    Reservation(database, "2" * 32, "ada", 100).claim(30)
    database.close()
