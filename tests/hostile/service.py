"""The real application with real decoder children, and what is seen of them from outside."""

import asyncio
import multiprocessing.forkserver
import threading
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.api.main import create_app
from tests.hostile.cases import Case
from worker.settings import Settings

AT_A_TIME = 2
SECONDS = 10.0  # within which every file has to be answered
DECODING = 7.0  # s; the server's own limit
MEMORY = 2**30  # bytes that a child may have resident
LOOK = 0.004  # s between two looks at the children


@dataclass
class Answer:
    """What the server said to a file."""

    status: int
    media_type: str
    body: bytes
    problem: Mapping[str, Any]  # or the image
    seconds: float

    @property
    def refused(self) -> bool:
        return 400 <= self.status < 500

    @property
    def accepted(self) -> bool:
        return self.status in (200, 201)


@dataclass
class Children:
    """Looks at the children of the decoder's fork server while the context lasts."""

    peak: int = 0  # bytes resident, of the largest one
    seen: set[int] = field(default_factory=set)

    def __enter__(self) -> "Children":
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            for pid in children():
                self.seen.add(pid)
                with suppress(OSError, StopIteration, ValueError):
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    highest = next(line for line in lines if line.startswith("VmHWM"))
                    self.peak = max(self.peak, int(highest.split()[1]) * 1024)


def children() -> list[int]:
    """The decoders that are at work now."""
    server = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if server is None:
        return []
    text = Path(f"/proc/{server}/task/{server}/children").read_text()
    return [int(pid) for pid in text.split()]


@dataclass
class Server:
    """One application, and its data."""

    client: httpx.AsyncClient
    data: Path

    async def upload(self, *files: tuple[str, bytes]) -> Answer:
        start = time.perf_counter()
        response = await self.client.post("/v1/images", files=[("file", file) for file in files])
        seconds = time.perf_counter() - start
        media_type = response.headers.get("content-type", "")
        return Answer(
            response.status_code,
            media_type,
            response.content,
            response.json() if "json" in media_type else {},
            seconds,
        )

    async def remove(self, answer: Answer) -> None:
        response = await self.client.delete(f"/v1/images/{answer.problem['id']}")
        # Files that were changed in the same way are one image, which can be removed once.
        assert response.status_code in (204, 404), response.text

    def left(self) -> list[Path]:
        """Every file of an upload or an image."""
        folders = (self.data / "uploads", self.data / "images")
        return [path for folder in folders for path in folder.rglob("*")]

    def holds(self, secrets: Sequence[bytes]) -> bool:
        """Whether bytes that nobody uploaded lie in the store."""
        files = (path for path in self.left() if path.is_file())
        return any(secret in path.read_bytes() for path in files for secret in secrets)


@asynccontextmanager
async def serving(data: Path) -> AsyncIterator[Server]:
    """The application as `reucid serve` runs it, without queue and workers."""
    settings = Settings(
        data_dir=data, redis_url=f"unix://{data}/no-queue", decode_timeout_s=DECODING
    )
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60) as client,
    ):
        yield Server(client, data)


async def answers(
    server: Server, cases: Iterable[Case], *, beside: Sequence[tuple[str, bytes]] = ()
) -> dict[str, Answer]:
    """What the server says to each file, a few at a time; what it accepts is removed again."""
    told: dict[str, Answer] = {}
    waiting = iter(cases)

    async def work() -> None:
        for case in waiting:
            answer = await server.upload((case.name, case.content), *beside)
            told[case.name] = answer
            if answer.accepted:
                await server.remove(answer)

    await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
    return told
