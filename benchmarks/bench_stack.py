"""How much sooner a stack is done when several workers share it: the same jobs by one and by more.

Servers with one and with more single-threaded workers take turns, round after round, so that the
machine's moods hit them alike; the ratio is that of the medians. A machine whose cores have other
work says little: the load is printed.
"""

import argparse
import io
import json
import os
import statistics
import tempfile
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
from bench_core import micrograph
from machine import machine

from tests.support.servers import served


def stack(frames: int, side: int) -> bytes:
    """Frames of a lattice, each with noise of its own, as an .npy file of 16 bits."""
    mean = np.clip(micrograph(side), 0, None) + 10
    rng = np.random.default_rng(frames)
    buffer = io.BytesIO()
    np.save(buffer, rng.poisson(mean, (frames, side, side)).astype(np.uint16))
    return buffer.getvalue()


def denoised_in(content: bytes, params: str, workers: int) -> tuple[float, list[int]]:
    """Seconds from claim to commit, by the ledger's clock, and frames of each worker."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data", "--workers", str(workers), REUCID_LIVE_WORKERS="0") as server,
        httpx.Client(base_url=f"{server.url}/v1", timeout=120, trust_env=False) as client,
    ):
        job = client.post(
            "/jobs", files={"file": ("stack.npy", content)}, data={"params": params}
        ).json()
        while job["state"] in ("queued", "running"):
            job = client.get(f"/jobs/{job['id']}", params={"wait": 60}).json()
        if job["state"] != "succeeded":
            raise RuntimeError(f"the job {job['state']}: {job}")
        report = client.get(f"/jobs/{job['id']}/report").json()
        shares: dict[str, int] = {}
        for part in report.get("parts", ()):
            shares[part["worker"]] = shares.get(part["worker"], 0) + part["frames"]
        first, last = (datetime.fromisoformat(job[f"{end}_at"]) for end in ("started", "finished"))
        return (last - first).total_seconds(), sorted(shares.values(), reverse=True)


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
    seconds: dict[int, list[float]] = {workers: [] for workers in options.workers}
    for _ in range(options.rounds):
        for workers in options.workers:
            took, shares = denoised_in(content, options.params, workers)
            seconds[workers].append(took)
            load = os.getloadavg()[0]
            print(f"  {workers} worker(s): {took:.1f} s, frames {shares}; load {load:.1f}")
    first = statistics.median(seconds[options.workers[0]])
    print(f"{options.frames} frames of {options.side}^2, {options.params}; medians:")
    for workers, each in seconds.items():
        median = statistics.median(each)
        print(f"  {workers} worker(s): {median:.1f} s, {median / first:.2f} of the first")


if __name__ == "__main__":
    main()
