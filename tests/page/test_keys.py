"""Keys: kept for the tab, shown in a header, and never more than their scopes allow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.commands.demo import NOISY
from tests.page.browsers import Visit
from tests.page.conftest import visiting
from tests.support.servers import served
from worker.contract import Scope
from worker.ledger.database import Database
from worker.ledger.keys import Keyring
from worker.settings import Settings


@pytest.fixture(scope="module")
def locked(
    browser: Any,  # noqa: ARG001  (without one there is nothing to lock)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, dict[str, str]]]:
    """A server that wants keys, and one of each scope."""
    data = tmp_path_factory.mktemp("locked") / "data"
    with served(data) as server:
        database = Database.open(Settings(data_dir=data).ledger_url)
        keyring = Keyring(database)
        keys = {
            name: keyring.create(owner=name, scopes=scopes)[1]
            for name, scopes in {
                "operator": [Scope.SUBMIT, Scope.READ],
                "reader": [Scope.READ],
                "admin": [Scope.ADMIN],
            }.items()
        }
        database.close()
        yield server.url, keys


@pytest.fixture
def visit(browser: Any, locked: tuple[str, dict[str, str]]) -> Iterator[Visit]:
    yield from visiting(browser, locked[0])


def enter(visit: Visit, key: str) -> None:
    visit.go("#/key")
    visit.page.get_by_label("Key", exact=True).fill(key)
    visit.page.get_by_role("button", name="Use this key").click()


def test_without_a_key_and_with_a_wrong_one(visit: Visit) -> None:
    visit.expected = (401,)
    visit.go()
    visit.page.get_by_role("heading", name="The server does not know you").wait_for()
    visit.shot("no-key")
    visit.page.get_by_role("link", name="Enter a key").click()
    enter(visit, "rk_wrong")
    visit.page.get_by_role("heading", name="The server does not know you").wait_for()


def test_a_key_is_entered_once_and_stays_out_of_addresses(
    visit: Visit, locked: tuple[str, dict[str, str]]
) -> None:
    visit.expected = (401,)
    key = locked[1]["operator"]
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    enter(visit, key)
    visit.page.get_by_text("The server takes you for “operator”").wait_for()
    visit.go("#/")
    visit.upload(NOISY)
    visit.wait_for("raw")
    visit.page.get_by_role("button", name="Denoise", exact=True).click()
    visit.wait_for("residual")
    visit.page.reload()
    visit.wait_for("residual")
    assert not [url for url in asked if key in url]
    assert visit.page.evaluate("() => Object.values(localStorage).join()").find(key) == -1
    with visit.page.expect_download() as waited:
        visit.page.get_by_role("button", name="Save").click()
        visit.page.get_by_role("button", name="Result: TIFF").click()
    assert waited.value.path().read_bytes()[:2] == b"II"


def test_a_reader_sees_no_upload(visit: Visit, locked: tuple[str, dict[str, str]]) -> None:
    visit.expected = (401,)
    enter(visit, locked[1]["reader"])
    visit.page.get_by_text("The server takes you for “reader”").wait_for()
    assert visit.page.get_by_role("link", name="New").count() == 0
    visit.go("#/")
    visit.page.get_by_role("heading", name="You may look, not submit").wait_for()
    assert visit.page.locator(".drop").count() == 0
    visit.go("#/admin")
    visit.page.get_by_role("heading", name="Your key does not allow this").wait_for()


def test_anothers_job_is_not_there(visit: Visit, locked: tuple[str, dict[str, str]]) -> None:
    visit.expected = (401, 404)
    url, keys = locked
    with httpx.Client(base_url=f"{url}/v1", timeout=60, trust_env=False) as client:
        mine = {"Authorization": f"Bearer {keys['operator']}"}
        answer = client.post("/jobs", files={"file": ("a.tif", NOISY.read_bytes())}, headers=mine)
        job = answer.raise_for_status().json()["id"]
    enter(visit, keys["reader"])
    visit.go(f"#/job/{job}")
    visit.page.get_by_role("heading", name="There is nothing here").wait_for()


def test_the_first_key_is_shown_and_used(browser: Any, tmp_path: Path) -> None:
    """From the first key on the server knows nobody without one, whoever makes it included."""
    with served(tmp_path / "data") as server:
        visits = visiting(browser, server.url)
        visit = next(visits)
        visit.go("#/admin")
        visit.page.get_by_label("Owner", exact=True).fill("boss")
        visit.page.get_by_role("button", name="Make a key").click()
        visit.page.get_by_text("The first key needs the scope “admin”").wait_for()
        visit.page.get_by_label("admin: everything, of everybody").check()
        visit.page.get_by_role("button", name="Make a key").click()
        key = visit.page.locator(".key-shown").inner_text()
        visit.page.get_by_role("cell", name="boss").first.wait_for()
        caller = httpx.get(
            f"{server.url}/v1/caller", headers={"X-API-Key": key}, trust_env=False, timeout=60
        )
        assert caller.raise_for_status().json()["owner"] == "boss"
        with pytest.raises(StopIteration):
            next(visits)


def test_an_admin_makes_and_ends_keys(visit: Visit, locked: tuple[str, dict[str, str]]) -> None:
    visit.expected = (401,)
    enter(visit, locked[1]["admin"])
    visit.page.get_by_text("The server takes you for “admin”").wait_for()
    visit.go("#/admin")
    visit.page.get_by_role("heading", name="State").wait_for()
    visit.page.get_by_role("textbox", name="Owner").fill("lab-3")
    visit.page.get_by_role("button", name="Make a key").click()
    made = visit.page.locator(".key-shown").inner_text()
    assert made
    visit.shot("admin")
    row = visit.page.get_by_role("row", name="lab-3").last
    row.get_by_role("button", name="Revoke").click()
    visit.page.get_by_role("button", name="Revoke it").click()
    visit.page.get_by_role("cell", name="revoked").wait_for()
    headers = {"Authorization": f"Bearer {made}"}
    assert (
        httpx.get(f"{locked[0]}/v1/jobs", headers=headers, trust_env=False, timeout=60).status_code
        == 401
    )
