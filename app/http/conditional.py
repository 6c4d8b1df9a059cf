"""Conditional requests (RFC 9110)."""

from fastapi import Request


def has_it(request: Request, etag: str) -> bool:
    """Whether the client has the representation with this entity tag, quotes included."""
    known = [tag.strip().removeprefix("W/") for tag in _tags(request)]
    return etag in known or "*" in known


def _tags(request: Request) -> list[str]:
    return request.headers.get("if-none-match", "").split(",")
