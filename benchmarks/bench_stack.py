"""How much sooner a stack is done when several workers share it: the same jobs by one and by more.

Servers with one and with more single-threaded workers take turns, round after round, so that the
machine's moods hit them alike; the ratio is that of the medians. Where the cores have other work
the times say little, so the processor seconds of the busiest worker are printed as well: with a
core for each worker, a stack cannot be done sooner.
"""

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
import psutil
from bench_core import micrograph
from machine import machine

from tests.support.servers import Served, served


def stack(frames: int, side: int) -> bytes:
    """Frames of a lattice, each with noise of its own, as an .npy file of 16 bits."""
    mean = np.clip(micrograph(side), 0, None) + 10
    rng = np.random.default_rng(frames)
    buffer = io.BytesIO()
    np.save(buffer, rng.poisson(mean, (frames, side, side)).astype(np.uint16))
    return buffer.getvalue()


def busy(server: Served) -> list[float]:
    """Processor seconds of each worker, with those of its work horses that have ended."""
    children = psutil.Process(server.process.pid).children()
    workers = [each for each in children if each.cmdline()[-1:] == ["work"]]
    return [sum(each.cpu_times()[:4]) for each in workers]


def horses(server: Served) -> list[psutil.Process]:
    """Work horses that run."""
    children = psutil.Process(server.process.pid).children()
    workers = [each for each in children if each.cmdline()[-1:] == ["work"]]
    return [horse for each in workers for horse in each.children()]


def denoised_in(content: bytes, params: str, workers: int) -> tuple[float, float, list[int]]:
    """Seconds by the ledger's clock, processor seconds of the busiest worker, everyone's frames."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data", "--workers", str(workers), REUCID_LIVE_WORKERS="0") as server,
        httpx.Client(base_url=f"{server.url}/v1", timeout=120, trust_env=False) as client,
    ):
        before = busy(server)
        job = client.post(
            "/jobs", files={"file": ("stack.npy", content)}, data={"params": params}
        ).json()
        while job["state"] in ("queued", "running"):
            job = client.get(f"/jobs/{job['id']}", params={"wait": 60}).json()
        if job["state"] != "succeeded":
            raise RuntimeError(f"the job {job['state']}: {job}")
        while horses(server):  # their time is counted when they have ended
            time.sleep(0.05)
        used = max(b - a for a, b in zip(before, busy(server), strict=True))
        report = client.get(f"/jobs/{job['id']}/report").json()
        shares: dict[str, int] = {}
        for part in report.get("parts", ()):
            shares[part["worker"]] = shares.get(part["worker"], 0) + part["frames"]
        first, last = (datetime.fromisoformat(job[f"{end}_at"]) for end in ("started", "finished"))
        return (last - first).total_seconds(), used, sorted(shares.values(), reverse=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--side", type=int, default=512, help="px")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--params", default="{}", help="JSON")
    options = parser.parse_args()
    json.loads(options.params)
    print(machine())
    content = stack(options.frames, options.side)
    took: dict[int, list[tuple[float, float]]] = {workers: [] for workers in options.workers}
    for _ in range(options.rounds):
        for workers in options.workers:
            seconds, used, shares = denoised_in(content, options.params, workers)
            took[workers].append((seconds, used))
            told = f"{seconds:.1f} s, busiest {used:.1f} s of processor, frames {shares}"
            print(f"  {workers} worker(s): {told}; load {os.getloadavg()[0]:.1f}", flush=True)
    print(f"{options.frames} frames of {options.side}^2, {options.params}; medians:")
    one = [statistics.median(each) for each in zip(*took[options.workers[0]], strict=True)]
    for workers, each in took.items():
        seconds, used = (statistics.median(values) for values in zip(*each, strict=True))
        told = f"busiest {used:.1f} s of processor ({used / one[1]:.2f})"
        print(f"  {workers} worker(s): {seconds:.1f} s ({seconds / one[0]:.2f}), {told}")


if __name__ == "__main__":
    main()
