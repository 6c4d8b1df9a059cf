"""Files as answers: whole, in part, or not at all for a client that has them."""

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path

from anyio import to_thread
from fastapi import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from app.http.conditional import not_modified, tagged
from app.http.problems import Problem, Responses

RANGE = re.compile(r"\s*([0-9]*)\s*-\s*([0-9]*)\s*")
MOST_RANGES = 16  # of one request; each is a part of the answer, read by itself
LARGEST = 2**63 - 1  # bytes of a file


def sends(description: str, *media_types: str) -> Responses:
    """OpenAPI's `responses` for what `send_file` gives, in one of these types."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        200: {"description": description, "content": dict.fromkeys(media_types, binary)},
        206: {"description": "The range that was asked for"},
        304: {"description": "The client's copy is up to date"},
    }


def send_file(
    request: Request,
    path: Path,
    sha256: str,
    *,
    media_type: str,
    filename: str,
    vary: str = "",
    more: Mapping[str, str] | None = None,
) -> Response:
    """A file whose SHA-256 is known, which is its entity tag."""
    headers = tagged(f'"{sha256}"', vary=vary) | dict(more or {})
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    return not_modified(request, headers) or _File(
        path,
        media_type=media_type,
        filename=filename,
        headers=headers | {"Repr-Digest": f"sha-256=:{digest}:"},  # RFC 9530
    )


def send_bytes(
    request: Request, content: bytes, headers: Mapping[str, str], *, media_type: str
) -> Response:
    """Bytes whose entity tag is in the headers; of a range of them that one asks for, that."""
    whole = dict(headers) | {"Accept-Ranges": "bytes"}
    asked = request.headers.get("range", "")
    if request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        asked = ""
    ranges = (normalised_range(asked) or "").removeprefix("bytes=").split(",")
    if len(ranges) > 1 or not ranges[0]:  # of several, a server may send the whole
        return Response(content, media_type=media_type, headers=whole)
    first, last = ranges[0].split("-")
    size = len(content)
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        raise _unsatisfiable(size)
    part = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return Response(content[start:stop], 206, whole | part, media_type)


def _unsatisfiable(size: int) -> Problem:
    return Problem(
        416,
        "range_not_satisfiable",
        f"got a range outside the file, which has {size} bytes",
        headers={"Content-Range": f"bytes */{size}"},
    )


class _File(FileResponse):
    """Starlette's, with our errors."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        requested = dict(scope["headers"]).get(b"range", b"").decode("latin-1")
        if requested:
            normalised = normalised_range(requested)
            headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
            if normalised is not None:  # else as if it were not there, says RFC 9110
                headers.append((b"range", normalised.encode()))
            scope = {**scope, "headers": headers}
        await self._look()
        await super().__call__(scope, receive, self._send_or_refuse(send))

    async def _look(self) -> None:
        """Find the file, whose owner may have been removed since it was looked up."""
        try:
            self.stat_result = await to_thread.run_sync(os.stat, self.path)
        except FileNotFoundError:
            raise Problem(404, "not_found", "this was removed a moment ago") from None
        self.set_stat_headers(self.stat_result)

    def _send_or_refuse(self, send: Send) -> Send:
        async def checked(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start" and message["status"] == 416:
                raise _unsatisfiable(Path(self.path).stat().st_size)
            await send(message)

        return checked  # type: ignore[return-value]


def normalised_range(requested: str) -> str | None:
    """A Range header with numbers that any file's size can be held against.

    None if it is malformed, or wants more parts than anybody needs.
    """
    unit, _, ranges = requested.partition("=")
    parts = [RANGE.fullmatch(part) for part in ranges.split(",")]
    if unit.strip().lower() != "bytes" or not all(parts) or len(parts) > MOST_RANGES:
        return None
    bounds = [(_bound(part[1]), _bound(part[2])) for part in parts if part]
    if not all(_is_possible(*each) for each in bounds):
        return None
    return "bytes=" + ",".join(f"{first}-{last}" for first, last in bounds)


def _bound(digits: str) -> str:
    """A number of any length, as far as it matters: no file is larger than `LARGEST`."""
    if not digits:
        return ""
    significant = digits.lstrip("0") or "0"
    return str(LARGEST if len(significant) > len(str(LARGEST)) else int(significant))


def _is_possible(first: str, last: str) -> bool:
    if first and last:
        return int(first) <= int(last)
    return bool(first or last)
