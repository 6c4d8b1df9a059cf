"""An HTTP client that costs next to nothing and sends what it is told to, well-formed or not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType

PATIENCE = 30.0  # s for an answer
PIECE = 2**16  # bytes


@dataclass(frozen=True)
class Site:
    """A server, and the key that is shown to it."""

    host: str
    port: int
    key: str

    def head(self, method: str, path: str, *lines: str, host: str = "") -> bytes:
        """A request's line and headers; `lines` are more of these."""
        stated = host or f"{self.host}:{self.port}"
        first = (
            f"{method} {path} HTTP/1.1",
            f"Host: {stated}",
            f"Authorization: Bearer {self.key}",
        )
        return ("\r\n".join((*first, *lines)) + "\r\n\r\n").encode("latin-1")

    def post(self, path: str, body: bytes, kind: str) -> bytes:
        """A request with a body."""
        length = f"Content-Length: {len(body)}"
        return self.head("POST", path, length, f"Content-Type: {kind}") + body


class Line:
    """A connection, opened anew where the server has closed it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader

    async def __aenter__(self) -> "Line":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def ask(self, *parts: bytes) -> int:
        """Send a request and read all of its answer; the status, or 0 where none came."""
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await self._open()
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                return await self._answer(reader)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            await self.close()
            return 0

    async def hold(self, request: bytes) -> int:
        """Send a request and read until the server ends; the status."""
        status = 0
        with contextlib.suppress(OSError, ValueError):
            reader, writer = await self._open()
            writer.write(request)
            line = await reader.readline()
            status = int(line.split()[1]) if line else 0
            while await reader.read(PIECE):
                pass
        await self.close()
        return status

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection(
                self._site.host, self._site.port
            )
        return self._reader, self._writer

    async def _answer(self, reader: asyncio.StreamReader) -> int:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(maxsplit=2)[1])
        fields = dict(line.partition(": ")[::2] for line in head.splitlines()[1:])
        if "transfer-encoding" in fields:
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        left = int(fields.get("content-length", "0"))
        while left:
            got = len(await reader.read(min(left, PIECE)))
            if not got:
                raise asyncio.IncompleteReadError(b"", left)
            left -= got
        if fields.get("connection") == "close":
            await self.close()
        return status


async def again_and_again(over: float) -> AsyncIterator[int]:
    """Count until a moment of the event loop's clock."""
    count = 0
    while asyncio.get_running_loop().time() < over:
        yield count
        count += 1
        await asyncio.sleep(0)
