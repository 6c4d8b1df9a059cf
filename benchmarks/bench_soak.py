"""Hours of ordinary work: whether memory, open files and latency are at the end what they were.

Figures go to `build/soak.json`; exit status 1 when something has grown, or an answer was a fault.
"""

import argparse
import asyncio
import io
import json
import os
import random
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from machine import machine

from tests.support.servers import Served, served
from worker.contract import Scope
from worker.ledger.database import Database
from worker.ledger.keys import Keyring

MIB = 2**20
CLIENTS = 6
PACE = 3.0  # s of a client between two jobs
SIDE = 64  # px
WARM = 180.0  # s before the first figures: caches fill up, threads begin
WINDOW = 300.0  # s at the start and at the end that are compared
SAMPLE = 10.0  # s between two looks at the processes
MORE_MEMORY, MORE_FILES = 24.0, 12  # MiB and files that a process may have more at the end
SLOWER = 2.0  # of the median latency
AS_LONG_AS_JOBS = ("long poll", "events")  # which wait for one


@dataclass
class Notes:
    """When, what, how long it took and what came of it."""

    answers: list[tuple[float, str, float, int]] = field(default_factory=list)


def main() -> None:
    """Run, compare, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    hours = float(os.environ.get("SOAK_HOURS", "1"))
    parser.add_argument("--hours", type=float, default=hours, help="SOAK_HOURS, or 1")
    parser.add_argument("--output", type=Path, default=Path("build/soak.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = _measure(Path(folder) / "data", 3600 * options.hours)
    for name, value in figures.items():
        print(f"{name:<44} {value}", flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=1))
    sys.exit(1 if figures["what has grown"] else 0)


def _measure(data: Path, seconds: float) -> dict[str, Any]:
    keys = _keys(data)
    samples: list[tuple[float, dict[str, tuple[float, int]]]] = []
    with served(data) as server, ProcessPoolExecutor(1, get_context("spawn")) as pool:
        begun = time.time()
        working = pool.submit(work, server.url, keys, begun + seconds)
        while not working.done():
            samples.append((time.time() - begun, _look(server)))
            time.sleep(SAMPLE)
        notes = working.result()
    return _compare(samples, notes, begun, seconds)


def _compare(
    samples: list[tuple[float, dict[str, tuple[float, int]]]],
    notes: Notes,
    begun: float,
    seconds: float,
) -> dict[str, Any]:
    windows = [(WARM, WARM + WINDOW), (seconds - WINDOW, seconds)]
    figures: dict[str, Any] = {
        "machine": f"{machine()}, load {os.getloadavg()[0]:.1f}",
        "minutes": round(seconds / 60, 1),
        "requests": len(notes.answers),
        "faults": sum(not 200 <= status < 500 for *_, status in notes.answers),
    }
    grown = ["faults"] if figures["faults"] else []
    for role in sorted(samples[-1][1]):
        memory, files = (
            [
                round(
                    float(np.median([s[role][n] for t, s in samples if a <= t < b and role in s])),
                    1,
                )
                for a, b in windows
            ]
            for n in (0, 1)
        )
        figures[f"{role}: MiB, files and sockets at start and end"] = [memory, files]
        if memory[1] - memory[0] > MORE_MEMORY or files[1] - files[0] > MORE_FILES:
            grown.append(role)
    for kind in sorted({kind for _, kind, _, _ in notes.answers}):
        rows = [
            [took for at, what, took, _ in notes.answers if what == kind and a <= at - begun < b]
            for a, b in windows
        ]
        spread = [[round(1e3 * float(np.percentile(r, p)), 1) for p in (50, 95)] for r in rows]
        figures[f"{kind}: p50 and p95 (ms) at start and end"] = spread
        if kind not in AS_LONG_AS_JOBS and spread[1][0] > SLOWER * spread[0][0]:
            grown.append(kind)
    return figures | {"samples": [(round(t), s) for t, s in samples], "what has grown": grown}


def _look(server: Served) -> dict[str, tuple[float, int]]:
    """Resident MiB and descriptors by role, but for what comes and goes."""
    root = psutil.Process(server.process.pid)
    found = {"supervisor": _size(root)}
    for child in root.children():
        try:
            role = _role(child.cmdline())
            found[role] = _size(child)
            for below in child.children() if role == "api" else []:
                if "forkserver" in " ".join(below.cmdline()) and below.ppid() == child.pid:
                    found["server of children"] = _size(below)
        except (psutil.NoSuchProcess, IndexError):
            continue
    return found


def _role(command: list[str]) -> str:
    return "api" if "app.api" in command else Path(command[-1]).name if "-m" in command else "queue"


def _size(process: psutil.Process) -> tuple[float, int]:
    return round(process.memory_info().rss / MIB, 1), process.num_fds()


def _keys(data: Path) -> list[str]:
    database = Database.open(f"sqlite:///{data / 'ledger.sqlite'}")
    both = (Scope.SUBMIT, Scope.READ)
    keys = [Keyring(database).create(owner=f"o{n}", scopes=both)[1] for n in range(CLIENTS)]
    database.close()
    return keys


# --- the clients, in a process of their own ---


def work(url: str, keys: list[str], over: float) -> Notes:
    """Everybody with a key works until then."""
    return asyncio.run(_all(url, keys, over))


async def _all(url: str, keys: list[str], over: float) -> Notes:
    notes = Notes()
    await asyncio.gather(*(_one(url, key, over, n, notes) for n, key in enumerate(keys)))
    return notes


async def _one(url: str, key: str, over: float, number: int, notes: Notes) -> None:
    rng, head = random.Random(number), {"Authorization": f"Bearer {key}"}  # noqa: S311
    async with httpx.AsyncClient(
        base_url=f"{url}/v1", headers=head, timeout=120, trust_env=False
    ) as http:

        async def ask(kind: str, method: str, path: str, **what: Any) -> httpx.Response:
            begun = time.time()
            answer = await http.request(method, path, **what)
            notes.answers.append((begun, kind, time.time() - begun, answer.status_code))
            return answer

        while time.time() < over:
            begun = time.monotonic()
            await _life(ask, rng)
            await asyncio.sleep(max(0.0, PACE * rng.uniform(0.7, 1.3) - time.monotonic() + begun))


async def _life(ask: Any, rng: random.Random) -> None:
    """One image: sent, denoised, followed, looked at in every way, and removed."""
    job = (
        await ask(
            "submit",
            "POST",
            "/jobs",
            files={"file": _file(rng)},
            data={"params": '{"patch_size": 5}', "labels": '{"run": "soak"}'},
        )
    ).json()
    path = f"/jobs/{job['id']}"
    if rng.random() < 0.5:
        await ask("events", "GET", f"{path}/events")
    while (now := (await ask("long poll", "GET", path, params={"wait": 20})).json())["state"] in (
        "queued",
        "running",
    ):
        pass
    await ask("look", "GET", path)
    await ask("list", "GET", "/jobs", params={"label": "run=soak", "limit": 20})
    if now["state"] == "succeeded":
        await ask("result", "GET", f"{path}/result", params={"format": "npy"})
        await ask("report", "GET", f"{path}/report")
        format_ = rng.choice(["tiff", "png", "mrc"])
        await ask("drawn result", "GET", f"{path}/result", params={"format": format_})
        await ask("preview", "GET", f"/images/{job['image_id']}/preview.png")
        await ask("broken file", "POST", "/images", content=b"II*\0" + rng.randbytes(200))
    await ask("delete", "DELETE", path)
    await ask("delete", "DELETE", f"/images/{job['image_id']}")


def _file(rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(rng.randrange(2**60)).poisson(30, (SIDE, SIDE))
    np.save(buffer, noise.astype(np.uint16))
    return buffer.getvalue()


if __name__ == "__main__":
    main()
