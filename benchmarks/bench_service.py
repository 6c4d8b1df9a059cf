"""What the service adds to the core: from the request to the finished result, on a warm server."""

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
import tifffile
from bench_core import micrograph
from machine import machine

from tests.support.servers import served
from tests.support.waiting import until


@contextmanager
def server(workers: int) -> Iterator[str]:
    """A server of its own on a free port, once all its workers have loaded what they need."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data", "--workers", str(workers)) as server,
    ):
        alive = f"reucid_workers_alive {workers}.0"
        until(lambda: alive in httpx.get(f"{server.url}/metrics").text, "all workers work")
        yield server.url


def files(count: int) -> list[bytes]:
    """Different 512 x 512 micrographs as 16-bit TIFF."""
    image = micrograph(512)
    made = []
    for n in range(count):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, np.clip(np.roll(image, n, 0) + 10, 0, 65535).astype(np.uint16))
        made.append(buffer.getvalue())
    return made


def latency(url: str, count: int) -> None:
    """One client, one job after the other: request to finished job, and the core's share of it."""
    params = json.dumps({"patch_size": 11})
    whole, core, parts = [], [], {"to start": [], "working": [], "to answer": []}
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as client:
        for index, content in enumerate(files(count + 3)):
            start = time.perf_counter()
            response = client.post(
                "/jobs",
                files={"file": ("m.tif", content)},
                data={"params": params},
                headers={"Prefer": "wait=30"},
            )
            seconds = time.perf_counter() - start
            job = response.json()
            if index < 3:  # to warm up
                continue
            report = client.get(f"/jobs/{job['id']}/report").json()
            whole.append(seconds)
            core.append(sum(report["seconds"].values()))
            events = _times(client, job["id"])
            parts["to start"].append(events["started"] - events["queued"])
            parts["working"].append(events["succeeded"] - events["started"])
            parts["to answer"].append(seconds - events["succeeded"] + events["queued"])
    print(f"512^2, {count} jobs in turn, one worker, keep-alive; medians in ms:")
    print(f"  request to finished job {1e3 * statistics.median(whole):.0f}")
    print(f"  of which the core       {1e3 * statistics.median(core):.0f}")
    added = [a - b for a, b in zip(whole, core, strict=True)]
    print(f"  added by the service    {1e3 * statistics.median(added):.0f}")
    for name, each in parts.items():
        print(f"    {name:<12} {1e3 * statistics.median(each):.0f}")


def _times(client: httpx.Client, job_id: str) -> dict[str, float]:
    """When each kind of event happened first, in seconds of the ledger's clock."""
    times: dict[str, float] = {}
    kind = ""
    with client.stream("GET", f"/jobs/{job_id}/events") as response:
        for line in response.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                at = datetime.fromisoformat(json.loads(line.removeprefix("data: "))["at"])
                times.setdefault(kind, at.timestamp())
    return times


def throughput(url: str, count: int) -> float:
    """Jobs per second when many wait."""
    with httpx.Client(base_url=f"{url}/v1", timeout=120) as client:
        start = time.perf_counter()
        ids = [
            client.post("/jobs", files={"file": ("m.tif", content)}, data={"params": "{}"}).json()[
                "id"
            ]
            for content in files(count)
        ]
        for job_id in ids:
            client.get(f"/jobs/{job_id}", params={"wait": 60})
        return count / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=50)
    options = parser.parse_args()
    print(machine())
    with server(1) as url:
        latency(url, options.jobs)
    for workers in (1, 2):
        with server(workers) as url:
            rate = throughput(url, options.jobs)
            print(f"throughput with {workers} worker(s): {rate:.1f} jobs/s")


if __name__ == "__main__":
    main()
