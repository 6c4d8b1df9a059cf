"""Files as answers: whole, in part, or not at all for a client that has them."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path

from anyio import to_thread
from fastapi import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from app.http.conditional import not_modified, tagged
from app.http.problems import Problem, Responses


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


class _File(FileResponse):
    """Starlette's, with our errors."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        requested = dict(scope["headers"]).get(b"range", b"").decode("latin-1")
        if requested and not _is_well_formed(requested):  # as if it were not there, says RFC 9110
            headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
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
                size = self.path and Path(self.path).stat().st_size
                raise Problem(
                    416,
                    "range_not_satisfiable",
                    f"got a range outside the file, which has {size} bytes",
                    headers={"Content-Range": f"bytes */{size}"},
                )
            await send(message)

        return checked  # type: ignore[return-value]


def _is_well_formed(requested: str) -> bool:
    unit, _, ranges = requested.partition("=")
    if unit.strip().lower() != "bytes":
        return False
    for each in ranges.split(","):
        first, dash, last = (part.strip() for part in each.partition("-"))
        numbers = [part for part in (first, last) if part]
        if not dash or not numbers or not all(n.isascii() and n.isdigit() for n in numbers):
            return False
        if len(numbers) == 2 and int(first) > int(last):
            return False
    return True
