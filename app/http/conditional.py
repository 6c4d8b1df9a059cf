"""Conditional requests (RFC 9110)."""

import hashlib
from collections.abc import Mapping

from fastapi import Request
from starlette.responses import Response


def etag_of(content: str | bytes) -> str:
    """An entity tag, quotes included: the SHA-256 of what is sent."""
    encoded = content.encode() if isinstance(content, str) else content
    return f'"{hashlib.sha256(encoded).hexdigest()}"'


def tagged(etag: str, *, vary: str = "") -> dict[str, str]:
    """Headers of an answer that its client may keep and has to ask for again each time."""
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    return headers | {"Vary": vary} if vary else headers


def not_modified(request: Request, headers: Mapping[str, str]) -> Response | None:
    """304 to a client that has what these headers' entity tag stands for; else nothing."""
    return Response(status_code=304, headers=headers) if _has(request, headers["ETag"]) else None


def _has(request: Request, etag: str) -> bool:
    known = [tag.strip().removeprefix("W/") for tag in _tags(request)]
    return etag in known or "*" in known


def _tags(request: Request) -> list[str]:
    return request.headers.get("if-none-match", "").split(",")
