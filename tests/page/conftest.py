"""A server, a browser, and a job that is done."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from app.commands.demo import NOISY
from tests.page.browsers import Visit, launched
from tests.support.servers import served


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="package")
def server(
    browser: Any,  # noqa: ARG001  (without one there is nothing to serve)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("page") / "data", REUCID_LIVE_WORKERS="1") as server:
        yield server.url


@pytest.fixture(scope="package")
def api(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server}/v1", timeout=70, trust_env=False) as client:
        yield client


def visiting(browser: Any, url: str, **options: Any) -> Iterator[Visit]:
    """A page in a session of its own; at the end it must have done nothing wrong."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}} | options)
    visit = Visit(context.new_page(), url)
    visit.watch()
    yield visit
    context.close()
    assert visit.wrongs == []


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Visit]:
    yield from visiting(browser, server)


def submit(api: httpx.Client, file: Path = NOISY, **params: Any) -> str:
    """Id of a job that has ended."""
    fields = {"params": json.dumps(params)}
    with file.open("rb") as content:
        answer = api.post("/jobs", files={"file": (file.name, content)}, data=fields)
    job_id: str = answer.raise_for_status().json()["id"]
    assert api.get(f"/jobs/{job_id}?wait=60").json()["state"] == "succeeded"
    return job_id


@pytest.fixture(scope="package")
def job(api: httpx.Client) -> str:
    """The demo's micrograph, denoised."""
    return submit(api, method="paper")


@pytest.fixture(scope="package")
def numbers(
    api: httpx.Client, job: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, NDArray[Any]]:
    """Result and residual of the job as files have them, and what was denoised."""
    folder = tmp_path_factory.mktemp("numbers")
    found = {}
    for name, of in (("denoised", "result"), ("residual", "residual"), ("raw", "input")):
        path = folder / f"{name}.npy"
        path.write_bytes(api.get(f"/jobs/{job}/{of}?format=npy").raise_for_status().content)
        found[name] = np.load(path)
    return found
