"""What both clients need to talk HTTP."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

import httpx

from reucid_client.errors import (
    AddressError,
    ProblemError,
    ReucidClientError,
    UnreachableError,
)

TIMEOUT = httpx.Timeout(10.0, read=60.0, write=300.0)
GLANCE = httpx.Timeout(2.0)  # of a question that is asked once


def checked(url: str) -> httpx.URL:
    """A server's address.

    Raises
    ------
    AddressError
    """
    expected = "expected one such as http://localhost:8000"
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AddressError(f"got the address {url!r}: {error}; {expected}") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise AddressError(f"got the address {url!r}, {expected}")
    return address


def headers_for(key: str | None) -> dict[str, str]:
    """Of every request."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def problem_of(
    response: httpx.Response | None, failure: Exception | None, url: object
) -> ReucidClientError:
    """The error for an answer, or for none."""
    if response is None:
        what = "no whole answer from" if _is_of_an_answer(failure) else "cannot reach"
        return UnreachableError(f"{what} {url}: {failure}")
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    return ProblemError(response.status_code, problem if isinstance(problem, dict) else {})


def _is_of_an_answer(failure: Exception | None) -> bool:
    return isinstance(failure, (httpx.RemoteProtocolError, httpx.ReadError))


class Digest:
    """The SHA-256 that an answer states of its content (RFC 9530), held against what comes of it.

    Of a part, or of what was packed on its way, nothing can be said.
    """

    def __init__(self, answer: httpx.Response) -> None:
        is_whole = answer.status_code == 200 and "Content-Encoding" not in answer.headers
        found = re.search(r"\bsha-256=:([^:]+):", answer.headers.get("Repr-Digest", ""))
        self._stated = found.group(1) if found and is_whole else None
        self._hash = hashlib.sha256()

    def feed(self, content: bytes) -> None:
        if self._stated is not None:
            self._hash.update(content)

    def check(self) -> None:
        """Once all has come.

        Raises
        ------
        httpx.TransportError
            When it is something else: what was lost on the way can be asked for again.
        """
        got = base64.b64encode(self._hash.digest()).decode()
        if self._stated is not None and got != self._stated:
            raise httpx.RemoteProtocolError(
                f"got content whose SHA-256 is {got}, the server states {self._stated}"
            )


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name when all of it is written."""
    temporary = path.with_name(f".{uuid4().hex}.part")  # a name may be as long as names may be
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    finally:
        if temporary.exists():
            temporary.unlink()
