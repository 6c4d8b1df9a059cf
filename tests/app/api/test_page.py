"""What is at the root: the page for people, an index for programs."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.api.routes.page import FILES
from tests.support.clients import problem
from tests.support.inprocess import Api, running
from worker.contract import Scope

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("data")) as api:
        api.key("lab", Scope.READ)  # from now on the API itself wants one
        yield api


@pytest.fixture
def site(api: Api) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, timeout=30) as client:
        yield client


def test_a_browser_gets_the_page_without_a_key(site: httpx.Client) -> None:
    answer = site.get("/", headers={"Accept": BROWSER})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text == (FILES / "index.html").read_text("utf-8")
    assert {"Accept", "Accept-Encoding"} == set(answer.headers["vary"].split(", "))


def test_a_program_gets_links_that_lead_somewhere(api: Api, site: httpx.Client) -> None:
    answer = site.get("/")
    assert answer.headers["content-type"] == "application/json"
    links = answer.json()["links"]
    headers = {"Authorization": f"Bearer {api.key('boss', Scope.ADMIN)}"}
    for name, path in links.items():
        assert site.get(path, headers=headers).status_code == 200, name


def test_other_types_are_refused(site: httpx.Client) -> None:
    problem(site.get("/", headers={"Accept": "image/png"}), 406, "not_acceptable")


def test_the_page_may_load_from_here_alone(site: httpx.Client) -> None:
    page = site.get("/", headers={"Accept": "text/html"})
    for answer in (page, site.get("/static/index.html")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in site.get("/").headers["content-security-policy"]


def test_a_file_that_a_client_has_is_not_sent_again(site: httpx.Client) -> None:
    first = site.get("/static/index.html")
    again = site.get("/static/index.html", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("refusal", ["identity", "gzip;q=0", "gzip; q=0.0, br", ""])
def test_texts_are_compressed_for_who_takes_it(site: httpx.Client, refusal: str) -> None:
    plain = site.get("/static/index.html", headers={"Accept-Encoding": refusal})
    assert "content-encoding" not in plain.headers
    with site.stream(
        "GET", "/static/index.html", headers={"Accept-Encoding": "br, gzip;q=0.5"}
    ) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] != plain.headers["etag"]
    assert gzip.decompress(raw) == plain.content == (FILES / "index.html").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "../static/../../api/examples.json",
        "%2e%2e/%2e%2e/api/examples.json",
        "..%2f..%2fapi%2fexamples.json",
        "%00",
        "no-such-file.js",
        "x" * 5000,
        "",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_served(site: httpx.Client, name: str) -> None:
    problem(
        site.get(f"{site.base_url}/static/{name}".replace("//static", "/static")), 404, "not_found"
    )


def test_links_stay_under_a_proxys_prefix(tmp_path: Path) -> None:
    with running(tmp_path, root_path="/reucid") as api, httpx.Client() as client:
        links = client.get(f"{api.url}/reucid/").json()["links"]
        assert links["jobs"] == "/reucid/v1/jobs"
        assert client.get(f"{api.url}/reucid/static/index.html").status_code == 200
        assert client.get(f"{api.url}{links['page']}").json()["links"] == links


def test_it_is_of_few_bytes_at_first() -> None:
    """All of the page's text, compressed as it is sent."""
    texts = [path for path in FILES.rglob("*") if path.suffix in (".html", ".js", ".mjs", ".css")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in texts) <= 250 * 1024
