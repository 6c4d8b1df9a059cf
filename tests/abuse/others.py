"""Ten others who go about their work: what they are answered, and how soon."""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field

import httpx

from tests.abuse.files import npy

LOOKS = 2.0  # a second, of each
SUBMISSIONS = 0.2
SIDE = 32  # px


@dataclass
class Notes:
    """Seconds of what was answered, by what was asked, and how often each status came."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)

    def note(self, kind: str, status: int, seconds: float) -> None:
        self.seconds.setdefault(kind, []).append(seconds)
        told = f"{kind}: {status}"
        self.statuses[told] = self.statuses.get(told, 0) + 1

    @property
    def faults(self) -> int:
        """Answers of 500 and above, and requests without one."""
        return sum(
            count
            for told, count in self.statuses.items()
            if not 200 <= int(told.rpartition(" ")[2]) < 500
        )


def work(url: str, keys: list[str], seconds: float, seed: int) -> Notes:
    """Everybody with a key submits and looks for so long."""
    return asyncio.run(_all(url, keys, seconds, seed))


async def _all(url: str, keys: list[str], seconds: float, seed: int) -> Notes:
    notes = Notes()
    over = time.monotonic() + seconds
    await asyncio.gather(
        *(_one(url, key, over, seed * 10_000 + 100 * n, notes) for n, key in enumerate(keys))
    )
    return notes


async def _one(url: str, key: str, over: float, seed: int, notes: Notes) -> None:
    rng = random.Random(seed)
    async with httpx.AsyncClient(
        base_url=f"{url}/v1",
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
        trust_env=False,
    ) as http:
        job, due = "", time.monotonic() + rng.random() / SUBMISSIONS
        while (now := time.monotonic()) < over:
            if not job or now >= due:
                seed, due = seed + 1, now + 1 / SUBMISSIONS
                answer = await _ask(
                    http,
                    notes,
                    "submit",
                    "POST",
                    "/jobs",
                    files={"file": npy(seed, SIDE)},
                    data={"params": json.dumps({"patch_size": 5})},
                )
                if answer is not None and answer.status_code == 202:
                    job = answer.json()["id"]
            if job:
                await _ask(http, notes, "look", "GET", f"/jobs/{job}")
            await asyncio.sleep(rng.uniform(0.5, 1.5) / LOOKS)


async def _ask(
    http: httpx.AsyncClient, notes: Notes, kind: str, method: str, path: str, **what: object
) -> httpx.Response | None:
    begun = time.perf_counter()
    try:
        answer = await http.request(method, path, **what)  # type: ignore[arg-type]
    except httpx.HTTPError:
        notes.note(kind, 0, time.perf_counter() - begun)
        return None
    notes.note(kind, answer.status_code, time.perf_counter() - begun)
    return answer
