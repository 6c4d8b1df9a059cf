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

WARM_UP = 3  # jobs
CORE = "the core"


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
    """One client, one job after the other: request to finished job, and where its time goes."""
    steps: list[dict[str, float]] = []
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as client:
        for content in files(count + WARM_UP):
            sent = time.time()
            response = client.post(
                "/jobs",
                files={"file": ("m.tif", content)},
                data={"params": json.dumps({"patch_size": 11})},
                headers={"Prefer": "wait=30"},
            )
            answered = time.time()
            job_id = response.json()["id"]
            report = client.get(f"/jobs/{job_id}/report").json()
            core = sum(report["seconds"].values())
            steps.append(steps_of(sent, _times(client, job_id), answered, core))
    measured = steps[WARM_UP:]
    whole = [sum(each.values()) for each in measured]
    added = [sum(each.values()) - each[CORE] for each in measured]
    print(f"512^2, {count} jobs in turn, one worker, keep-alive; medians in ms:")
    print(f"  request to finished job     {1e3 * statistics.median(whole):.0f}")
    print(f"  added by the service        {1e3 * statistics.median(added):.0f}")
    print("| step | ms, median | share |\n|---|---|---|")
    for step in measured[0]:
        ms = 1e3 * statistics.median(each[step] for each in measured)
        share = sum(each[step] for each in measured) / sum(whole)
        print(f"| {step} | {ms:.1f} | {100 * share:.0f} % |")


def steps_of(
    sent: float, times: dict[str, float], answered: float, core: float
) -> dict[str, float]:
    """Seconds of each step of a job; together they are those from the request to its answer.

    `times` are the ledger's, which is on this machine and has its clock. An event bears the time
    of its transaction, so what brings it to disk belongs to the step after it.
    """
    queued, started, succeeded = (times[name] for name in ("queued", "started", "succeeded"))
    denoising, saving = times["stage denoising"], times["stage saving"]
    return {
        "upload, decoder's child, files and ledger, until it is queued": queued - sent,
        "dispatcher, queue and horse, until it is claimed": started - queued,
        "image and classifier at hand": denoising - started,
        CORE: core,
        "interim results beside the core": saving - denoising - core,
        "result to disk, until it is committed": succeeded - saving,
        "commit to disk, wake and answer": answered - succeeded,
    }


def _times(client: httpx.Client, job_id: str) -> dict[str, float]:
    """When each kind of event, and each stage, came first, in seconds of the ledger's clock."""
    times: dict[str, float] = {}
    kind = ""
    with client.stream("GET", f"/jobs/{job_id}/events") as response:
        for line in response.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                told = json.loads(line.removeprefix("data: "))
                name = f"{kind} {told['stage']}" if "stage" in told else kind
                times.setdefault(name, datetime.fromisoformat(told["at"]).timestamp())
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
