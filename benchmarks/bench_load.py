"""How a server bears load: many clients, slow clients, a large upload; figures and JSON."""

import argparse
import asyncio
import io
import json
import os
import select
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from bench_core import machine

from tests.support.servers import served

MIB = 2**20
PERCENTILES = (50, 95, 99, 100)
SAMPLE = 5.0  # s between two looks at the memory


@dataclass
class Server:
    """A server of its own and a look at its processes."""

    url: str
    process: subprocess.Popen[bytes]
    memory: list[tuple[float, dict[str, float]]] = field(default_factory=list)  # s, MiB by role

    def rss(self) -> dict[str, float]:
        """Resident memory by role in MiB, work horses left out: they come and go."""
        found: dict[str, float] = {}
        root = psutil.Process(self.process.pid)
        for child in root.children():
            try:
                name = child.cmdline()[-1] if "worker" in child.cmdline() else child.name()
                name = "api" if "app.api" in child.cmdline() else name
                found[name] = found.get(name, 0.0) + child.memory_info().rss / MIB
            except (psutil.NoSuchProcess, IndexError):
                continue
        return {"supervisor": root.memory_info().rss / MIB} | found

    @contextmanager
    def watched(self, every: float = SAMPLE) -> Iterator[None]:
        """Note the memory again and again."""
        over, begun = threading.Event(), time.monotonic()

        def look() -> None:
            while True:
                self.memory.append((round(time.monotonic() - begun, 2), self.rss()))
                if over.wait(every):
                    return

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def growth(self, since: float = 0.0) -> dict[str, list[float]]:
        """By role: first, last and largest memory in MiB, from a moment on."""
        series = [each for at, each in self.memory if at >= since] or [self.memory[-1][1]]
        roles = series[0].keys() & series[-1].keys()
        return {
            role: [
                round(series[0][role], 1),
                round(series[-1][role], 1),
                round(max(each.get(role, 0) for each in series), 1),
            ]
            for role in sorted(roles)
        }

    def api_seconds(self) -> float:
        """Processor time that the API has taken."""
        times = self._api().cpu_times()
        return float(times.user + times.system)

    def connections(self) -> int:
        """How many clients the API holds on to."""
        sockets = self._api().net_connections("tcp")
        return sum(each.status == psutil.CONN_ESTABLISHED for each in sockets)

    def _api(self) -> psutil.Process:
        children = psutil.Process(self.process.pid).children()
        (api,) = (child for child in children if "app.api" in child.cmdline())
        return api

    def slope(self) -> dict[str, float]:
        """By role: MiB a minute in the second half, by least squares."""
        half = self.memory[len(self.memory) // 2 :]
        if len(half) < 2:
            return {}
        minutes = [at / 60 for at, _ in half]
        return {
            role: round(float(np.polyfit(minutes, [each[role] for _, each in half], 1)[0]), 2)
            for role in sorted(set.intersection(*(set(each) for _, each in half)))
        }


@contextmanager
def server(workers: int = 1, **settings: str) -> Iterator[Server]:
    """A server on a free port."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data", "--workers", str(workers), **settings) as server,
    ):
        yield Server(server.url, server.process)


def lattice(seed: int, size: int) -> bytes:
    """A small noisy lattice as .npy."""
    rows, columns = np.mgrid[:size, :size]
    mean = 20 + 10 * np.cos(rows / 1.5) * np.cos(columns / 1.5)
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(seed).poisson(mean).astype(np.uint16))
    return buffer.getvalue()


@dataclass
class Tally:
    """Statuses and times of all requests."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    async def ask(self, client: httpx.AsyncClient, kind: str, path: str, **what: Any) -> Any:
        """One request, timed; None when there was no answer."""
        begun = time.perf_counter()
        try:
            answer = await client.request(kind.split()[0], path, **what)
        except httpx.HTTPError as error:
            self.statuses[f"{kind}: {type(error).__name__}"] += 1
            return None
        self.seconds.setdefault(kind, []).append(time.perf_counter() - begun)
        self.statuses[f"{kind}: {answer.status_code}"] += 1
        return answer

    def spread(self) -> dict[str, list[float]]:
        """Milliseconds: p50, p95, p99, max."""
        return {
            kind: [round(1e3 * float(np.percentile(times, p)), 1) for p in PERCENTILES]
            for kind, times in sorted(self.seconds.items())
        }

    def requests(self) -> int:
        """How many were made."""
        return sum(self.statuses.values())

    def faults(self) -> int:
        """Answers of 500 and above, and requests without an answer."""
        return sum(
            count
            for status, count in self.statuses.items()
            if not status.split(": ")[1].isdigit() or status.split(": ")[1] >= "500"
        )


async def steady(url: str, tally: Tally, options: argparse.Namespace) -> None:
    """Clients that submit at a steady rate in all and look at their jobs once a second."""
    limits = httpx.Limits(max_connections=None)
    pause = options.clients / options.rate
    count = round(options.seconds / pause)

    async def client(number: int) -> None:
        params = json.dumps({"patch_size": 5})
        jobs: list[str] = []
        async with httpx.AsyncClient(
            base_url=f"{url}/v1", timeout=60, limits=limits, trust_env=False
        ) as http:
            due, submitted = time.monotonic() + pause * number / options.clients, 0
            while (now := time.monotonic()) < due or submitted < count:
                if now >= due:
                    due, submitted = due + pause, submitted + 1
                    file = lattice(number, options.size)
                    answer = await tally.ask(
                        http, "POST /jobs", "/jobs", files={"file": file}, data={"params": params}
                    )
                    if answer is not None and answer.status_code == 202:
                        jobs.append(answer.json()["id"])
                if jobs:
                    await _look(http, tally, jobs)
                await asyncio.sleep(min(1.0, max(0.0, due - time.monotonic())))

    await asyncio.gather(*(client(number) for number in range(options.clients)))


async def _look(http: httpx.AsyncClient, tally: Tally, jobs: list[str]) -> None:
    answer = await tally.ask(http, "GET /jobs/{id}", f"/jobs/{jobs[0]}")
    if answer is not None and answer.json()["state"] == "succeeded":
        job_id = jobs.pop(0)
        await tally.ask(http, "GET /result", f"/jobs/{job_id}/result?format=npy")


def bear_load(options: argparse.Namespace) -> dict[str, Any]:
    """The steady load. All of it is one owner's, whose part of the queue is made large enough."""
    room = str(10 * int(options.rate * options.seconds) + 10_000)
    settings = {"REUCID_MAX_QUEUED_PER_OWNER": room, "REUCID_MAX_QUEUED": room}
    with server(options.workers, **settings) as each:
        tally, before = Tally(), each.api_seconds()
        with each.watched():
            asyncio.run(steady(each.url, tally, options))
        taken = 1e3 * (each.api_seconds() - before) / tally.requests()
        warm = min(60.0, options.seconds / 5)
        with httpx.Client(base_url=f"{each.url}/v1", timeout=60, trust_env=False) as client:
            left = client.get("/jobs", params={"state": "queued", "limit": 200}).json()
        return {
            "settings": settings,
            "images": f"one of its own for each of {options.clients} clients",
            "submissions asked for": int(options.rate * options.seconds),
            "statuses": dict(tally.statuses),
            "milliseconds (p50 p95 p99 max)": tally.spread(),
            "answers of 500 and above, or none": tally.faults(),
            "processor time of the API, ms a request": round(taken, 2),
            "still queued (200 and more are not counted)": len(left["jobs"]),
            f"MiB by process from second {warm:g} on (first, last, most)": each.growth(warm),
            "MiB a minute in the second half": each.slope(),
            "memory": each.memory,
        }


def bear_slow_clients(options: argparse.Namespace) -> dict[str, Any]:
    """Clients that send headers and bodies, or read results, a few bytes at a time.

    The server lets go of each when its time is up, and each comes again.
    """
    with server(options.workers) as each:
        with httpx.Client(base_url=f"{each.url}/v1", timeout=60, trust_env=False) as client:
            big = client.post(
                "/jobs",
                files={"file": lattice(0, 1024)},
                data={"params": '{"patch_size": 5}'},
                headers={"Prefer": "wait=60"},
            ).json()
        before, during = Tally(), Tally()
        calm = argparse.Namespace(**vars(options) | {"seconds": 20, "clients": 10, "rate": 2})
        asyncio.run(steady(each.url, before, calm))
        calm.seconds, over = options.slow_seconds, threading.Event()
        with ThreadPoolExecutor(options.slow) as pool:
            crawling = [
                pool.submit(crawl, each.url, n, big["id"], over) for n in range(options.slow)
            ]
            with each.watched():
                asyncio.run(steady(each.url, during, calm))
            held = each.connections()
            over.set()
            ends = sum((one.result() for one in crawling), Counter[str]())
        return {
            "slow clients": options.slow,
            "seconds with them": options.slow_seconds,
            # A reader that was let go of does not see it: the kernel holds more than it reads.
            "how their connections ended, as they see it": dict(sorted(ends.items())),
            "connections of the API at the end": held,
            "milliseconds without them (p50 p95 p99 max)": before.spread(),
            "milliseconds with them": during.spread(),
            "statuses with them": dict(during.statuses),
            "answers of 500 and above, or none": during.faults(),
            "MiB by process (first, last, most)": each.growth(),
            "MiB a minute in the second half": each.slope(),
        }


SLOW = {
    "body": b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/tiff\r\n"
    b"Content-Length: 1000000\r\n\r\n" + b"x" * 10_000,
    "headers": b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 10_000,
    "reader": b"GET /v1/jobs/{job_id}/result HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
AT_ONCE = 100  # bytes; more than the reader's request has, and than the body's head


def crawl(url: str, number: int, job_id: str, over: threading.Event) -> Counter[str]:
    """One slow client, of headers, of a body, or of reading; how its connections ended."""
    kind = sorted(SLOW)[number % len(SLOW)]
    text = SLOW[kind].replace(b"{job_id}", job_id.encode())
    ends: Counter[str] = Counter()
    while not over.wait(0.1):
        ends[f"{kind}: {_crawl_once(httpx.URL(url), kind, text, over)}"] += 1
    return ends


def _crawl_once(url: httpx.URL, kind: str, text: bytes, over: threading.Event) -> str:
    try:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(10)
            connection.connect((url.host, url.port))
            connection.sendall(text[:AT_ONCE])
            sent, head = AT_ONCE, b""
            while not over.wait(0.5):
                if kind == "reader" or select.select([connection], [], [], 0)[0]:
                    part = connection.recv(16)
                    head = head or part
                    if not part or head[9:12] != b"200":
                        return part[9:12].decode() or "cut off"
                else:
                    connection.sendall(text[sent : sent + 10])
                    sent += 10
    except ConnectionError:
        return "cut off"
    except TimeoutError:
        return "no connection, or nothing of it, in 10 s"
    return "open at the end"


def bear_upload(options: argparse.Namespace) -> dict[str, Any]:
    """One upload of so many bytes, valid, and streamed."""
    side = int((options.upload_mib * MIB) ** 0.5)
    head = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (side, side)}
    np.lib.format.write_array_header_1_0(head, header)
    block = np.random.default_rng(0).integers(0, 255, MIB, np.uint8).tobytes()

    def stream() -> Iterator[bytes]:
        yield head.getvalue()
        left = side * side
        while left:
            part = block[: min(left, MIB)]
            left -= len(part)
            yield part

    settings = {
        "REUCID_MAX_UPLOAD_MIB": str(options.upload_mib + 8),
        "REUCID_MAX_PIXELS": str(side * side),
        "REUCID_DECODE_TIMEOUT_S": "600",
    }
    with server(1, **settings) as each:
        base = each.rss()["api"]
        with each.watched(0.05), httpx.Client(timeout=1200, trust_env=False) as client:
            begun = time.perf_counter()
            answer = client.post(
                f"{each.url}/v1/images",
                content=stream(),
                headers={"Content-Type": "application/octet-stream"},
            )
            seconds = time.perf_counter() - begun
        most = max(memory["api"] for _, memory in each.memory)
        return {
            "bytes": side * side + len(head.getvalue()),
            "answer": f"{answer.status_code} {answer.json().get('code', '')}",
            "seconds, decoding included": round(seconds, 1),
            "API process before, most (MiB)": [round(base, 1), round(most, 1)],
            "growth (MiB)": round(most - base, 1),
        }


PARTS = {"load": bear_load, "slow": bear_slow_clients, "upload": bear_upload}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="load|slow|upload")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--rate", type=float, default=20.0, help="submissions a second, in all")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--size", type=int, default=32, help="px")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--slow", type=int, default=200, help="slow clients")
    parser.add_argument(
        "--slow-seconds", type=float, default=75.0, help="more than the server waits for a client"
    )
    parser.add_argument("--upload-mib", type=int, default=2048)
    parser.add_argument("--output", type=Path, default=Path("build/load.json"))
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine": f"{machine()}, load {os.getloadavg()[0]:.1f}"}
    print(figures["machine"])
    for name in options.parts or PARTS:
        figures[name] = PARTS[name](options)
        print(f"\n{name}")
        for what, value in figures[name].items():
            if what != "memory":
                print(f"  {what}: {value}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures | {"options": str(options)}, indent=1))


if __name__ == "__main__":
    main()
