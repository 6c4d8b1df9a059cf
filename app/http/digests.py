"""Content-Digest (RFC 9530): what a client says the body's hash is, checked as it comes."""

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from app.http.problems import Problem

MEMBER = re.compile(r"\s*([a-z0-9-]+)=:([A-Za-z0-9+/=]*):\s*")
KNOWN = {"sha-256": "sha256", "sha-512": "sha512"}  # others are ignored, as the RFC wants
DIGEST: dict[str, Any] = {  # in the OpenAPI document
    "name": "content-digest",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Of the body (RFC 9530), checked as it comes: `sha-256=:BASE64:`.",
}


async def checked_stream(request: Request) -> AsyncIterator[bytes]:
    """The request's body; 400 at its end if it is not what its sender said."""
    expected = _expected(request.headers.get("content-digest", ""))
    hashes = {name: hashlib.new(KNOWN[name]) for name in expected}
    async for chunk in request.stream():
        for each in hashes.values():
            await run_in_threadpool(each.update, chunk)
        yield chunk
    for name, digest in expected.items():
        if hashes[name].digest() != digest:
            got = base64.b64encode(hashes[name].digest()).decode()
            raise Problem(
                400, "digest_mismatch", f"got a body whose {name} is {got}, not as Content-Digest"
            )


def _expected(header: str) -> dict[str, bytes]:
    expected = {}
    for part in filter(None, header.split(",")):
        member = MEMBER.fullmatch(part)
        try:
            if member is None:
                raise ValueError("no member of a dictionary")
            name, digest = member[1], base64.b64decode(member[2], validate=True)
        except (ValueError, binascii.Error) as error:
            message = f"got Content-Digest: {header[:80]}, expected sha-256=:BASE64:"
            raise Problem(400, "invalid_digest", message) from error
        if name in KNOWN:
            expected[name] = digest
    return expected
