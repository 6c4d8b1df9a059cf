"""One owner does everything at once that could starve the others, while ten others work.

Figures go to `build/abuse.json`; exit status 1 when a promise was broken: the others' p95 of look
and submit at most three times the quiet value, no fault for them, the API's memory bounded.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from tests.abuse import abuser, files, others
from tests.abuse.others import Notes
from tests.abuse.wire import Site
from tests.support.servers import Served, served
from worker.contract import Scope
from worker.ledger.database import Database
from worker.ledger.keys import Keyring

MIB = 2**20
OTHERS = 10
FACTOR = 3.0  # of a p95 under abuse to the quiet one
MOST_MEMORY = 600.0  # MiB of the API
BOTH = (Scope.SUBMIT, Scope.READ)


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of abuse")
    parser.add_argument("--quiet", type=float, default=30.0, help="seconds without it, before")
    parser.add_argument("--kinds", nargs="*", default=[], help="of abuse, all by default")
    parser.add_argument("--output", type=Path, default=Path("build/abuse.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = _measure(Path(folder) / "data", options)
    for name, value in figures.items():
        print(f"{name:<44} {value}", flush=True)  # noqa: T201
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=1))
    sys.exit(1 if figures["broken promises"] else 0)


def _measure(data: Path, options: argparse.Namespace) -> dict[str, Any]:
    keys = _keys(data)
    with served(data) as server, ProcessPoolExecutor(2, get_context("spawn")) as pool:
        theirs = [key for owner, key in keys.items() if owner != "abuser"]
        pool.submit(others.work, server.url, theirs, 5.0, 0).result()  # warm
        quiet = pool.submit(others.work, server.url, theirs, options.quiet, 1).result()
        plan = _plan(server, keys["abuser"], options)
        memory = Memory(_api(server))
        before = memory.now()
        with memory.watched():
            abusing = pool.submit(abuser.abuse, plan)
            time.sleep(2)  # until it is at full strength
            during = pool.submit(others.work, server.url, theirs, options.seconds - 4, 2).result()
            told = abusing.result()
        load = os.getloadavg()[0]
        time.sleep(10)
        after = memory.now()
    figures: dict[str, Any] = {"machine": f"{os.cpu_count()} cores, load average {load:.1f}"}
    broken = _compare(quiet, during, figures)
    figures |= {
        "API before, most, 10 s after (MiB)": [before, memory.most, after],
        "largest child (MiB)": memory.child,
        "what the abuser got": _short(told),
    }
    if memory.most > MOST_MEMORY:
        broken.append(f"the API had {memory.most} MiB, at most {MOST_MEMORY:g} are allowed")
    return figures | {"broken promises": broken}


def _compare(quiet: Notes, during: Notes, figures: dict[str, Any]) -> list[str]:
    broken = []
    for kind in ("look", "submit"):
        rows = [_spread(notes.seconds[kind]) for notes in (quiet, during)]
        figures[f"{kind}: quiet p50 p95 p99 most (ms), of"] = rows[0]
        figures[f"{kind}: abused p50 p95 p99 most (ms), of"] = rows[1]
        factor = round(rows[1][1] / rows[0][1], 1)
        figures[f"{kind}: p95 to p95"] = factor
        if factor > FACTOR:
            broken.append(f"p95 of {kind} grew {factor} times, at most {FACTOR:g} are allowed")
    figures["others' answers"] = dict(sorted(during.statuses.items()))
    if during.faults:
        broken.append(f"{during.faults} requests of others failed")
    return broken


def _spread(seconds: list[float]) -> list[float]:
    return [round(1e3 * float(np.percentile(seconds, p)), 1) for p in (50, 95, 99, 100)] + [
        len(seconds)
    ]


def _short(told: Counter[str]) -> dict[str, int]:
    return dict(sorted(told.items()))


def _keys(data: Path) -> dict[str, str]:
    """By owner."""
    names = ["abuser", *(f"other-{n}" for n in range(OTHERS))]
    with contextlib.closing(Database.open(f"sqlite:///{data / 'ledger.sqlite'}")) as database:
        ring = Keyring(database)
        return {name: ring.create(owner=name, scopes=BOTH)[1] for name in names}


def _plan(server: Served, key: str, options: argparse.Namespace) -> abuser.Plan:
    """What the abuser has before it begins: a large image, long lists, jobs."""
    url = httpx.URL(server.url)
    with httpx.Client(
        base_url=f"{server.url}/v1",
        headers={"Authorization": f"Bearer {key}"},
        timeout=120,
        trust_env=False,
    ) as http:
        image = _made(http.post("/images", files={"file": files.large()}))["id"]
        small = _made(http.post("/images", files={"file": files.npy(0, 512)}))["id"]
        job = _made(
            http.post(
                "/jobs",
                json={"image_id": small, "params": {"patch_size": 7}},
                headers={"Prefer": "wait=60"},
            )
        )["id"]
        for number in range(20):
            _made(http.post("/images", files={"file": files.talkative(number)}))
        long = {"patch_size": 7, "stacks": 400, "components": 4}
        waiting = ""
        for _ in range(60):
            spec = {"image_id": small, "params": long, "metadata": {"text": "x" * 60_000}}
            waiting = _made(http.post("/jobs", json=spec))["id"]
    site = Site(url.host, url.port or 80, key)
    return abuser.Plan(site, image, job, waiting, options.seconds, tuple(options.kinds))


def _made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code in (200, 201, 202), answer.text
    return dict(answer.json())


def _api(server: Served) -> psutil.Process:
    children = psutil.Process(server.process.pid).children()
    (found,) = (child for child in children if "app.api" in child.cmdline())
    return found


@dataclass
class Memory:
    """The resident memory of an API process, and of its largest child, in MiB."""

    api: psutil.Process
    most: float = 0.0
    child: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    def now(self) -> float:
        return round(self.api.memory_info().rss / MIB, 1)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Look again and again while the context lasts."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.most = max(self.most, self.now())
            for child in self.api.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.child = max(self.child, round(child.memory_info().rss / MIB, 1))


if __name__ == "__main__":
    main()
