"""No request, however malformed, is a fault of the server; each refusal is a problem document."""

import http.client
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.http.authority import Authority, authority_of, origin_of
from app.http.files import normalised_range
from tests.support.commands import line, reucid
from tests.support.inprocess import Api, npy, running
from worker.ledger.database import Database, UnusableLedgerError

MALFORMED = ("[zz]", "[::1", "[", "]", "[v1.x]:80", "a b", "localhost:99999", "localhost:x", "a/b")
MANY_DIGITS = "9" * 5000

authorities = st.one_of(
    st.sampled_from(MALFORMED), st.text("[]:@/?#%.0189azAZ \t\u00e9\u00b2-_", max_size=24)
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("hostile")) as api:
        yield api


@pytest.fixture(scope="module")
def image(api: Api) -> dict[str, Any]:
    with api.client() as client:
        files = {"file": ("image.npy", npy(1))}
        return dict(client.post("/images", files=files).json())


def asked(
    api: Api, path: str, *headers: tuple[str, str], method: str = "GET", body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """Ask with exactly these headers, and a Host unless one is among them."""
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=30)
    names = [name.lower() for name, _ in headers]
    connection.putrequest(method, path, skip_host="host" in names)
    for name, value in headers:
        connection.putheader(name, value.encode("latin-1"))
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    response = connection.getresponse()
    told = {name.lower(): value for name, value in response.getheaders()}
    content = response.read()
    connection.close()
    return response.status, told, content


def refused(answer: tuple[int, dict[str, str], bytes], *statuses: int) -> str:
    """The code of a refusal, which is a problem document."""
    status, headers, content = answer
    assert status in statuses, content
    assert headers["content-type"] == "application/problem+json"
    return str(json.loads(content)["code"])


@pytest.mark.parametrize("path", ["/v1/jobs", "/metrics", "/livez", "/docs", "/v1/nowhere"])
@pytest.mark.parametrize("host", MALFORMED)
def test_a_malformed_host_is_a_bad_request(api: Api, path: str, host: str) -> None:
    assert refused(asked(api, path, ("Host", host)), 400) == "invalid_host"
    with api.client():
        twice = asked(api, path, ("Host", "localhost"), ("Host", "localhost"))
    assert refused(twice, 400) == "invalid_host"


@pytest.mark.parametrize("path", ["/v1/jobs", "/metrics"])
@pytest.mark.parametrize("origin", ["http://[", "http://[zz]", "http://a:b", "null", "[", "//", ""])
def test_a_malformed_origin_is_another_sites(api: Api, path: str, origin: str) -> None:
    assert refused(asked(api, path, ("Origin", origin)), 401) == "unauthorized"


@given(text=authorities)
@example(text="localhost:" + MANY_DIGITS)
def test_hosts_and_origins_are_read_without_fail(text: str) -> None:
    for found in (authority_of(text), origin_of(f"http://{text}"), origin_of(text)):
        if found is not None:
            where = found if isinstance(found, Authority) else found.authority
            assert where.port is None or 0 <= where.port < 2**16
            assert where.host == where.host.lower()


@given(text=st.text("bytes=-, 0123456789\u00b2\u00e9", max_size=40))
@example(text=f"bytes=0-{MANY_DIGITS}")
@example(text=f"bytes=-{MANY_DIGITS}")
@example(text=f"bytes={MANY_DIGITS}-{MANY_DIGITS}")
def test_ranges_are_read_without_fail(text: str) -> None:
    normalised = normalised_range(text)
    if normalised is not None:
        numbers = normalised.removeprefix("bytes=").replace(",", "-").split("-")
        assert all(len(number) < 20 for number in numbers)


@pytest.mark.parametrize(
    ("stated", "statuses"),
    [
        (f"bytes=0-{MANY_DIGITS}", (206,)),
        (f"bytes=-{MANY_DIGITS}", (206,)),
        ("bytes=-999999999", (206,)),
        (f"bytes={MANY_DIGITS}-", (416,)),
        (f"bytes={MANY_DIGITS}-{MANY_DIGITS}", (416,)),
        ("bytes=-0", (416,)),
        ("bytes=-\u00b2", (200,)),
        ("bytes=" + "0-1," * 200 + "3-4", (200,)),
        ("bytes=0-0,-0", (206, 416)),
    ],
)
def test_ranges_of_any_size(
    api: Api, image: dict[str, Any], stated: str, statuses: tuple[int, ...]
) -> None:
    url = f"/v1/images/{image['id']}/content"
    answer = asked(api, url, ("Range", stated))
    assert answer[0] in statuses, answer
    if answer[0] == 416:
        assert refused(answer, 416) == "range_not_satisfiable"


HEADERS = ("Accept", "If-None-Match", "If-Range", "Last-Event-ID", "Prefer", "Idempotency-Key",
           "Content-Digest", "Content-Type", "X-Forwarded-For", "X-Forwarded-Proto", "Range",
           "Authorization", "X-API-Key", "Origin", "Sec-Fetch-Site", "X-Request-ID")  # fmt: skip
VALUES = ("[", "http://[", MANY_DIGITS, f"wait={MANY_DIGITS}", "bytes=-" + MANY_DIGITS, "\u00b2",
          "a;q=nan", "a;q=1e999", "sha-256=::", "multipart/form-data",
          "multipart/form-data; boundary=", "application/json; charset=nonsense", '"', "*",
          "=" * 4000, "Bearer \u00e9")  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
def test_no_header_is_a_fault_of_the_server(api: Api, image: dict[str, Any], header: str) -> None:
    for value in VALUES:
        for method, path in (
            ("GET", f"/v1/images/{image['id']}/content"),
            ("GET", "/v1/images?limit=1"),
            ("GET", "/metrics"),
            ("POST", "/v1/jobs"),
            ("POST", "/v1/keys"),
        ):
            status, headers, content = asked(
                api, path, (header, value), method=method, body=b"{}" * (method == "POST")
            )
            assert status < 500, (method, path, value, content)
            if status >= 400:
                assert headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    [
        b'{"\\ud800": 1}',
        b'{"owner": "\\udfff", "scopes": ["read"]}',
        b'{"owner": "ada", "scopes": ["read"], "name": "\\ud800"}',
        b'{"owner": "ada", "scopes": ["read"], "expires_days": 1e999}',
        b'{"owner": "ada", "scopes": ["read"], "expires_days": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"metadata": {"a": ' + b"9" * 5000 + b"}}",
        b'{"params": {"seed": NaN}}',
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("path", ["/v1/keys", "/v1/jobs"])
def test_no_json_is_a_fault_of_the_server(api: Api, path: str, body: bytes) -> None:
    answer = asked(api, path, ("Content-Type", "application/json"), method="POST", body=body)
    refused(answer, 400, 422)


@pytest.mark.parametrize("query", ["%ff", "%ed%a0%80", "%00", "%5b"])
def test_a_query_of_any_bytes_is_refused_in_words(api: Api, query: str) -> None:
    for text in (f"x={query}", f"{query}=x", f"cursor={query}", f"limit={query}"):
        refused(asked(api, f"/v1/images?{text}"), 422)


def form(*parts: bytes) -> bytes:
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"


MULTIPART = ("Content-Type", "multipart/form-data; boundary=x")


@pytest.mark.parametrize(
    "part",
    [
        b"\r\n",
        b'Content-Disposition: form-data; name="batch"\r\n\r\n',
        b'Content-Disposition: form-data; name=""\r\n\r\nx',
    ],
)
@pytest.mark.parametrize("path", ["/v1/images", "/v1/jobs"])
def test_a_form_of_very_many_parts_is_refused(api: Api, path: str, part: bytes) -> None:
    body = form(*[part] * 10_000)
    refusal = asked(api, path, MULTIPART, method="POST", body=body)
    assert refused(refusal, 400, 422) in ("malformed_form", "invalid_request")
    assert b"parts" in refusal[2] or b"malformed" in refusal[2]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("/etc/shadow", "shadow"),
        ("C:\\lattice.npy", "lattice.npy"),
        ("..", "image"),
        (".", "image"),
        ("", "image"),
        ("a/", "image"),
        ("\u202egpj.exe", "gpj.exe"),
        ("Si 110 [a].npy", "Si 110 [a].npy"),
    ],
)
def test_a_file_is_called_by_the_last_part_of_its_name(
    api: Api, sent: str, kept: str, request: pytest.FixtureRequest
) -> None:
    pixels = npy(zlib.crc32(request.node.name.encode()))
    disposition = f'Content-Disposition: form-data; name="file"; filename="{sent}"\r\n\r\n'
    body = form(disposition.encode() + pixels)
    status, _, content = asked(api, "/v1/images", MULTIPART, method="POST", body=body)
    assert (status, json.loads(content)["name"]) == (201, kept)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of one image."""
    monkeypatch.setenv("REUCID_DATA_DIR", str(tmp_path))
    with running(tmp_path) as api, api.client() as client:
        assert client.post("/images", files={"file": npy(1)}).status_code == 201
    return tmp_path / "ledger.sqlite"


def damage_page(ledger: Path) -> None:
    """Overwrite the page where the images begin, as a bad disk would."""
    with closing(sqlite3.connect(ledger)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'images'"
        ((page,),) = connection.execute(query).fetchall()
        ((size,),) = connection.execute("PRAGMA page_size").fetchall()
    with ledger.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def damage_row(ledger: Path, value: str) -> None:
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute(f"UPDATE images SET info = {value}")  # noqa: S608


DAMAGES = {
    "a page": damage_page,
    "half a JSON": lambda ledger: damage_row(ledger, "'{'"),
    "JSON of another kind": lambda ledger: damage_row(ledger, "'[1]'"),
    "no UTF-8": lambda ledger: damage_row(ledger, "CAST(x'22ff22' AS TEXT)"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_ledger_is_said_with_words(
    ledger: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGES[kind](ledger)
    with running(ledger.parent) as api, api.client() as client:
        answer = client.get("/images")
        assert client.get("/jobs").status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger_damaged")
    assert "reucid doctor" in answer.json()["detail"]
    if kind == "a page":
        assert reucid("doctor") == 1
        found = line(capsys.readouterr().out, "ledger")
        assert "damaged" in found
        assert "backup" in found


def test_a_server_does_not_start_on_a_damaged_ledger(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.write_bytes(ledger.read_bytes()[:4096] + b"\xa5" * 2**16)
    with pytest.raises(UnusableLedgerError, match="malformed"):
        Database.open(f"sqlite:///{ledger}")
    assert reucid("doctor") == 1
    assert "damaged" in line(capsys.readouterr().out, "ledger")
