"""Pages of a list: an opaque cursor, and the link to the next page (RFC 8288)."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from app.http.problems import FieldError, invalid

LARGEST = 2**20  # bytes of a page of a list
Entry = TypeVar("Entry", bound=BaseModel)
Record = TypeVar("Record")

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


class Paging:
    """The page of a list that a request asks for; a route has it as `PagingDep`.

    Attributes
    ----------
    limit : int
        Entries of the page, at most.
    wanted : int
        Entries to look for: one more, which says that there is a next page.
    """

    def __init__(
        self,
        request: Request,
        response: Response,
        cursor: Cursor | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> None:
        self.limit, self.wanted = limit, limit + 1
        self._request, self._response, self._cursor = request, response, cursor

    def after(self, *kinds: type) -> tuple[Any, ...] | None:
        """The place in the list where the page before ended; None for the first page."""
        return None if self._cursor is None else decode(self._cursor, *kinds)

    def cut(
        self,
        found: Sequence[Record],
        show: Callable[[Record], Entry],
        place: Callable[[Record], tuple[int | float | str, ...]],
        root: str,
    ) -> tuple[list[Entry], str | None]:
        """The entries of the page and the next one's cursor, which the answer's `Link` tells, too.

        Parameters
        ----------
        found : sequence
            At most `wanted` records, from `after` on.
        show : callable
            The entry of a record.
        place : callable
            Where in the list a record is, as `after` gives it.
        root : str
            Path that the server's addresses begin with.
        """
        page = fitting(map(show, found[: self.limit]))
        if len(found) == len(page):
            return page, None
        next_ = encode(*place(found[len(page) - 1]))
        self._response.headers["Link"] = link(self._request, root, next_)
        return page, next_


PagingDep = Annotated[Paging, Depends()]


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
