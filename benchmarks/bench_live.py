"""Live sessions with a real server, client and viewers on one machine: how old what is seen is.

`python benchmarks/bench_live.py` [--seconds 20] [--only NAME ...] [--long MINUTES]

The age of a result is the time from the reception of its last row, by the server's Valkey, to when
a subscriber has it whole. A drifting lattice with Poisson noise is scanned.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from machine import machine
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.servers import Served, served
from tests.support.waiting import until
from worker.live.messages import Flag, Kind, Message

SIMULATED = 16  # frames, which come again and again
FIRST = 3.0  # s that are not counted: connections and first decisions


@dataclass(frozen=True)
class Case:
    """What is offered."""

    side: int  # px
    rate: float  # frames in a second
    rows: int | None = None  # of a block; None: whole frames
    subscribers: int = 1
    idle: int = 0  # subscribers that read nothing
    method: str = "auto"


CASES = {
    "512 px, 10 frames/s": Case(512, 10),
    "512 px, blocks of 32 rows, 1 frame/s": Case(512, 1, rows=32),
    "512 px, 50 frames/s offered": Case(512, 50),
    "256 px, 30 frames/s": Case(256, 30),
    "1024 px, 2 frames/s": Case(1024, 2),
    "512 px, 10 frames/s, 5 subscribers, 1 reads nothing": Case(512, 10, subscribers=4, idle=1),
}


def simulated(side: int) -> list[NDArray[np.uint16]]:
    """Frames of a lattice that drifts by half a pixel each."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    frames = []
    for n in range(SIMULATED):
        across = 1 + np.cos(2 * np.pi * (x + 0.5 * n) / 12.3)
        down = 1 + np.cos(2 * np.pi * (y + 0.3 * n) / 11.1)
        frames.append(rng.poisson(2 * across * down + 2).astype(np.uint16))
    return frames


@dataclass
class Subscriber:
    """Takes every result that it gets, and notes how old it is then."""

    socket: ClientConnection
    ages: list[float] = field(default_factory=list)  # ms
    whole: list[int] = field(default_factory=list)  # frames
    at: list[float] = field(default_factory=list)  # s, of each result

    def start(self) -> None:
        self.socket.send(json.dumps({"type": "subscribe"}))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for data in self.socket:
                if isinstance(data, bytes):
                    message = Message.from_bytes(data)
                    self.ages.append(1000 * (time.time() - message.received_at))
                    self.at.append(time.time())
                    if Flag.WHOLE in message.flags:
                        self.whole.append(message.frame)
        except ConnectionClosed:
            pass


class Bench:
    """One running server."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self.client = httpx.Client(base_url=f"{server.url}/v1", timeout=30)

    def open(self, case: Case) -> str:
        spec = {"shape": [case.side, case.side], "params": {"method": case.method}}
        session_id: str = self.client.post("/sessions", json=spec).raise_for_status().json()["id"]
        until(lambda: self.client.get(f"/sessions/{session_id}").json()["bound"])
        return session_id

    def stream(self, session_id: str, stack: ExitStack) -> ClientConnection:
        address = self._server.url.replace("http", "ws", 1)
        return stack.enter_context(
            connect(
                f"{address}/v1/sessions/{session_id}/stream",
                max_size=None,
                compression=None,
                max_queue=None,
            )
        )

    def counts(self, session_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/sessions/{session_id}").json()["counts"]
        return found

    def resident(self) -> dict[str, float]:
        """MiB that the server's processes hold, by what they are."""
        held: dict[str, float] = {}
        for process in psutil.Process(self._server.process.pid).children(recursive=True):
            name = "valkey" if "valkey" in process.name() else " ".join(process.cmdline()[-2:])
            held[name[-24:]] = held.get(name[-24:], 0) + process.memory_info().rss / 2**20
        return held

    def live_processes(self) -> list[psutil.Process]:
        """The live worker, and the process that it has forked."""
        family = psutil.Process(self._server.process.pid).children(recursive=True)
        return [each for each in family if each.cmdline()[-1:] == ["live"]]

    def run(
        self, case: Case, seconds: float, meanwhile: Callable[[], None] = lambda: None
    ) -> tuple[list[Subscriber], dict[str, Any], dict[str, Any]]:
        """Offer frames for so long; who looked, and the counts when counting began and ended."""
        frames = simulated(case.side)
        session_id = self.open(case)
        with ExitStack() as stack:
            sender = self.stream(session_id, stack)
            threading.Thread(target=_drain, args=(sender,), daemon=True).start()
            seen = [Subscriber(self.stream(session_id, stack)) for _ in range(case.subscribers)]
            for each in seen:
                each.start()
            for _ in range(case.idle):  # its answers fill the buffers, and then stay where they are
                self.stream(session_id, stack).send(json.dumps({"type": "subscribe"}))
            number = self._scan(sender, case, frames, FIRST, 0)
            before = self.counts(session_id)
            for each in seen:
                for noted in (each.ages, each.whole, each.at):
                    noted.clear()
            helper = threading.Thread(target=meanwhile)
            helper.start()
            self._scan(sender, case, frames, seconds, number)
            helper.join()
            until(lambda: self.counts(session_id)["waiting"] == 0)
            after = self.counts(session_id)
        self.client.delete(f"/sessions/{session_id}")
        return seen, before, after

    @staticmethod
    def _scan(
        sender: ClientConnection,
        case: Case,
        frames: list[NDArray[np.uint16]],
        seconds: float,
        number: int,
    ) -> int:
        """Send frames at their rate, each block when its last row has been scanned."""
        rows = case.rows or case.side
        blocks = case.side // rows
        due = time.monotonic()
        end = due + seconds
        while due < end:
            pixels = frames[number % len(frames)]
            for n in range(blocks):
                due += 1 / case.rate / blocks
                time.sleep(max(0.0, due - time.monotonic()))
                part = pixels[n * rows : (n + 1) * rows]
                message = Message(
                    Kind.MEASURED, pixels.shape, number, n * rows, part, captured_at=time.time()
                )
                sender.send(message.to_bytes())
            number += 1
        return number


def _drain(socket: ClientConnection) -> None:
    try:
        for _ in socket:
            pass
    except ConnectionClosed:
        pass


def told(ages: list[float]) -> str:
    if not ages:
        return "nothing came"
    middle, p95, p99 = np.percentile(ages, [50, 95, 99])
    return f"age median {middle:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"


def measure(bench: Bench, name: str, case: Case, seconds: float) -> None:
    seen, before, after = bench.run(case, seconds)
    counted = {
        each: after[each] - before[each]
        for each in ("received", "processed", "superseded", "dropped")
    }
    results = " / ".join(str(len(each.ages)) for each in seen)
    worst = max((each.ages for each in seen), key=lambda ages: float(np.percentile(ages, 95)))
    print(f"{name}: {told(worst)}; {counted}; results at each subscriber {results}", flush=True)


def lost(bench: Bench, which: str, method: str) -> None:
    """Kill the worker, or the process that it forked, and see when results come again."""
    killed: list[float] = []

    def kill() -> None:
        time.sleep(2.0)
        worker, *forked = sorted(bench.live_processes(), key=lambda each: each.create_time())
        killed.append(time.time())
        (worker if which == "worker" else forked[0]).kill()

    seen, _, after = bench.run(Case(512, 10, method=method), 10.0, kill)
    (subscriber,) = seen
    again = [at for at in subscriber.at if at > killed[0] + 0.2]
    back = again[0] - killed[0] if again else float("nan")
    print(
        f"{which} killed: results again after {back:.2f} s, restarts {after['restarts']}",
        flush=True,
    )


def long(bench: Bench, minutes: float, method: str) -> None:
    """Memory of all processes, a quarter into a run and at its end."""
    held: list[dict[str, float]] = []

    def look() -> None:
        for wait in (15 * minutes, 44 * minutes):
            time.sleep(wait)
            held.append(bench.resident())

    seen, _, after = bench.run(Case(512, 10, method=method), 60 * minutes, look)
    grown = {name: round(held[1].get(name, 0) - mib, 1) for name, mib in held[0].items()}
    kept = {name: round(mib) for name, mib in held[1].items()}
    counted = f"{after['received']} frames, {after['dropped']} dropped"
    print(f"{minutes:g} minutes: {told(seen[0].ages)}; {counted}")
    print(f"MiB grown: {grown}; held: {kept}", flush=True)


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--method", default="auto", choices=["auto", "paper", "two-scale"])
    parser.add_argument("--only", nargs="*", help="parts of names of cases; `killed`; `long`")
    parser.add_argument("--long", type=float, default=10.0, help="minutes of the run for memory")
    stated = parser.parse_args()

    def wanted(name: str) -> bool:
        return stated.only is None or any(part in name for part in stated.only)

    print(machine())
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data", REUCID_LIVE_WORKERS="1") as server,
    ):
        bench = Bench(server)
        for name, case in CASES.items():
            if wanted(name):
                measure(bench, name, replace(case, method=stated.method), stated.seconds)
        if wanted("killed"):
            for which in ("process", "worker"):
                lost(bench, which, stated.method)
        if wanted("long"):
            long(bench, stated.long, stated.method)


if __name__ == "__main__":
    main()
