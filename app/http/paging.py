"""Pages of a list: an opaque cursor, and the link to the next page (RFC 8288)."""

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Query, Request
from pydantic import BaseModel

from app.http.problems import FieldError, invalid

LARGEST = 2**20  # bytes of a page of a list
Entry = TypeVar("Entry", bound=BaseModel)

Cursor = Annotated[
    str, Query(pattern="^[A-Za-z0-9_-]{1,200}$", description="`next` of the page before.")
]


def encode(*place: int | float | str) -> str:
    """The cursor of the page after a place in the list."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def decode(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The place a cursor stands for, if it is one of ours."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        ours = [type(each) for each in place] == list(kinds)
        if ours and abs(place[0]) < 2**63 and all(str(each).isascii() for each in place):
            return tuple(place)
    except (ValueError, binascii.Error, TypeError, RecursionError):
        pass
    message = "got no cursor of this list, expected `next` of the page before"
    raise invalid([FieldError(field="query.cursor", message=message)])


def fitting(entries: Iterable[Entry]) -> list[Entry]:
    """As many entries of a page, and one at least, as an answer may be long."""
    page: list[Entry] = []
    room = LARGEST
    for entry in entries:
        room -= len(entry.model_dump_json())
        if page and room < 0:
            break
        page.append(entry)
    return page


def link(request: Request, root: str, cursor: str) -> str:
    """The Link header to the next page: the same request with another cursor."""
    path = root + request.scope["path"].removeprefix(root)  # of the URL, a query may be no text
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return f'<{path}?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'
