"""What an abuser does, all of it at once and as fast as it is let."""

import asyncio
import json
import os
import random
import resource
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.abuse import files
from tests.abuse.wire import Line, Site, again_and_again

LINES = 16  # connections for each kind of abuse
STREAMS = 900
BODY = 64 * 2**20  # bytes of a large body
NICENESS = 19  # it would be another machine's load
FILES = 8192  # open ones


@dataclass(frozen=True)
class Plan:
    """Where, with what, and for how long."""

    site: Site
    image: str  # a large one of the abuser's
    job: str  # one that has succeeded
    waiting: str  # one that is queued, behind many others
    seconds: float
    kinds: tuple[str, ...] = ()  # all of them when empty


Told = Counter[str]


def abuse(plan: Plan) -> Told:
    """Do it; how often each kind got each status."""
    os.nice(NICENESS)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    with TemporaryDirectory() as folder:
        return asyncio.run(_Abuser(plan, files.tiny(Path(folder))).everything())


class _Abuser:
    def __init__(self, plan: Plan, tiny: list[bytes]) -> None:
        self._plan, self._site, self._tiny = plan, plan.site, tiny
        self._rng = random.Random(0)
        self._told: Told = Counter()
        self._over = 0.0

    async def everything(self) -> Told:
        kinds: dict[str, tuple[Callable[[str], Awaitable[None]], int]] = {
            "preview": (self._asks(self._preview), 3 * LINES),
            "percentiles": (self._asks(self._percentiles), LINES),
            "listing": (self._asks(self._listing), LINES),
            "tiny file": (self._asks(self._tiny_file), LINES),
            "parts": (self._asks(self._parts), LINES),
            "range": (self._asks(self._range), LINES),
            "host": (self._asks(self._host), LINES),
            "bundle": (self._asks(self._bundle), LINES),
            "submission": (self._asks(self._submission), LINES),
            "other key": (self._asks(self._other_key), LINES),
            "download": (self._asks(self._download), LINES),
            "large body": (self._large_body, LINES),
            "slow body": (self._slow_body, 100),
            "stream": (self._stream, STREAMS),
            "poll": (self._poll, STREAMS),
        }
        loop = asyncio.get_running_loop()
        self._over = loop.time() + self._plan.seconds
        wanted = self._plan.kinds or tuple(kinds)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(work(kind))
                for kind, (work, count) in kinds.items()
                if kind in wanted
                for _ in range(count)
            ]
            await asyncio.sleep(self._plan.seconds)
            for task in tasks:
                task.cancel()
        return self._told

    def _asks(self, request: Callable[[], bytes]) -> Callable[[str], Awaitable[None]]:
        async def work(kind: str) -> None:
            async with Line(self._site) as line:
                async for _ in again_and_again(self._over):
                    self._told[f"{kind}: {await line.ask(request())}"] += 1

        return work

    # --- requests ---

    def _preview(self) -> bytes:
        side = self._rng.randrange(16, 2049)
        return self._site.head("GET", f"/v1/images/{self._plan.image}/preview.png?side={side}")

    def _percentiles(self) -> bytes:
        low = self._rng.random()
        path = f"/v1/jobs/{self._plan.job}/result?format=png&percentiles={low:.4f},{99 + low:.4f}"
        return self._site.head("GET", path)

    def _listing(self) -> bytes:
        kind = self._rng.choice(["images?limit=200", "jobs?limit=200", "jobs?label=a=b&limit=200"])
        return self._site.head("GET", f"/v1/{kind}")

    def _tiny_file(self) -> bytes:
        return self._site.post("/v1/images", *files.form(self._rng.choice(self._tiny)))

    def _parts(self) -> bytes:
        return self._site.post("/v1/images", *files.parts(100_000))

    def _range(self) -> bytes:
        digits = "9" * 5000
        ranges = self._rng.choice(
            [f"0-{digits}", f"-{digits}", ",".join(f"{n}-{n}" for n in range(0, 4000, 2))]
        )
        path = f"/v1/images/{self._plan.image}/content"
        return self._site.head("GET", path, f"Range: bytes={ranges}")

    def _host(self) -> bytes:
        host = self._rng.choice(["[zz]", "a:99999", "x" * 4000, "a,b"])
        return self._site.head("GET", "/v1/jobs", host=host)

    def _bundle(self) -> bytes:
        whole = self._rng.choice(["true", "false"])
        return self._site.head("GET", f"/v1/jobs/{self._plan.job}/bundle.zip?input={whole}")

    def _download(self) -> bytes:
        return self._site.head("GET", f"/v1/images/{self._plan.image}/content")

    def _submission(self) -> bytes:
        spec = {
            "image_id": self._plan.image,
            "params": {"patch_size": 7},
            "labels": {f"l{self._rng.randrange(10**9)}": "x" for _ in range(16)},
            "metadata": {"text": "x" * 60_000},
        }
        return self._site.post("/v1/jobs", json.dumps(spec).encode(), "application/json")

    def _other_key(self) -> bytes:
        key = f"reucid_{self._rng.randrange(10**40)}"
        return Site(self._site.host, self._site.port, key).head("GET", "/v1/jobs")

    # --- what is held open ---

    async def _stream(self, kind: str) -> None:
        await self._held(kind, f"/v1/jobs/{self._plan.waiting}/events")

    async def _poll(self, kind: str) -> None:
        await self._held(kind, f"/v1/jobs/{self._plan.waiting}?wait=30")

    async def _held(self, kind: str, path: str) -> None:
        async with Line(self._site) as line:
            async for _ in again_and_again(self._over):
                self._told[f"{kind}: {await line.hold(self._site.head('GET', path))}"] += 1
                await asyncio.sleep(0.5)

    async def _large_body(self, kind: str) -> None:
        head = self._site.head(
            "POST",
            "/v1/images",
            f"Content-Length: {BODY}",
            "Content-Type: application/octet-stream",
        )
        piece = self._rng.randbytes(2**16)
        async with Line(self._site) as line:
            async for _ in again_and_again(self._over):
                status = await line.ask(head, *[piece] * (BODY // len(piece)))
                self._told[f"{kind}: {status}"] += 1

    async def _slow_body(self, kind: str) -> None:
        head = self._site.head(
            "POST",
            "/v1/images",
            f"Content-Length: {BODY}",
            "Content-Type: application/octet-stream",
        )
        async for _ in again_and_again(self._over):
            try:
                reader, writer = await asyncio.open_connection(self._site.host, self._site.port)
                writer.write(head + self._rng.randbytes(300_000))
                while not reader.at_eof():
                    writer.write(self._rng.randbytes(100))
                    await writer.drain()
                    await asyncio.sleep(0.5)
                writer.close()
            except OSError:
                pass
            self._told[f"{kind}: ended"] += 1
            await asyncio.sleep(0.5)
