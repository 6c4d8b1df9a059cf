"""`python -m tests.faults`: the long form of the fault suite, with a report of figures.

Clients submit thousands of small jobs to a real server while its processes are killed, hung and
wiped; then every promise is checked. Exit status 1 when one was broken. The same seed draws the
same faults; when they hit depends on the machine.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np

from tests.faults import scenarios
from tests.faults.cases import Case, cases
from tests.faults.checker import check
from tests.faults.deliveries import check_told, told_by
from tests.faults.history import Client, History
from tests.faults.rig import DELIVERING, Rig
from tests.faults.stored import PREFIX, InBucket, InFolder, Stored
from tests.support.buckets import CREDENTIALS, NoS3Error, S3Server, s3_server
from tests.support.buckets import program as s3_program
from tests.support.postgres import Cluster, NoPostgresError
from tests.support.waiting import until
from worker.contract import Event, EventType
from worker.ledger.images import Images
from worker.store.interface import in_attempt
from worker.store.names import PIXELS

PERCENTILES = (50, 95, 99, 100)


@dataclass
class Report:
    """Figures, and every broken promise."""

    figures: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def say(self, name: str, value: Any) -> None:
        self.figures[name] = value
        print(f"{name:<44} {value}", flush=True)  # noqa: T201

    def judge(self, name: str, rig: Rig, history: History) -> None:
        found = check(history, rig.database, rig.store)
        self.broken += [f"{name}: {line}" for line in found]
        self.say(f"{name}: broken promises", len(found))
        for line in found[:20]:
            print("   ", line[:400], flush=True)  # noqa: T201


def main() -> None:
    """Run every part and write what was found."""
    options = _options()
    report, begun = Report(), time.time()
    report.say("machine", _machine())
    report.say("options", vars(options) | {"output": str(options.output)})
    known = cases(64)
    with _folder() as folder, _database(options.database) as ledger, _bucket(options.store) as s3:
        bucket = s3.bucket() if s3 else ""
        environment = (
            DELIVERING | ledger | ({"REUCID_STORE_URL": s3.url(bucket, PREFIX)} if s3 else {})
        )
        rig = Rig(folder / "main", environment, workers=options.workers)
        root = rig.settings.data_dir
        stored = InBucket(s3, bucket, root) if s3 else InFolder(root)
        rig.start()
        history = History()
        try:
            _storm(rig, history, known, options, report)
            _outages(rig, history, known, options, report)
            _cancels(rig, history, known, options, report)
            _flips(rig, stored, history, known, options, report)
            _duplicates(rig, history, known, options, report)
        finally:
            rig.stop()
        _full_disk(folder, known, report)
    report.say("minutes", round((time.time() - begun) / 60, 1))
    report.say("broken promises", len(report.broken))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    content = report.figures | {"broken": report.broken}
    options.output.write_text(json.dumps(content, indent=1))
    sys.exit(bool(report.broken))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=120.0, help="of the storm, at most")
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--outages", type=float, nargs="*", default=[1, 10, 60], metavar="SECONDS")
    parser.add_argument("--cancels", type=int, default=20)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--store", choices=["folder", "bucket"], default="folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("build/faults.json"))
    return parser.parse_args()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="reucid-faults-") as name:
        yield Path(name)


@contextmanager
def _database(kind: str) -> Iterator[dict[str, str]]:
    if kind == "sqlite":
        yield {}
        return
    try:
        cluster = Cluster.make()
    except NoPostgresError as error:
        sys.exit(str(error))
    try:
        yield {"REUCID_DATABASE_URL": cluster.create()}
    finally:
        cluster.remove()


@contextmanager
def _bucket(kind: str) -> Iterator[S3Server | None]:
    """A server with buckets, and its account in the environment, where the store is one."""
    if kind == "folder":
        yield None
        return
    try:
        s3_program()
    except NoS3Error as error:
        sys.exit(str(error))
    with _folder() as folder, s3_server(folder) as s3, patch.dict(os.environ, CREDENTIALS):
        yield s3


def _storm(
    rig: Rig, history: History, known: list[Case], options: argparse.Namespace, report: Report
) -> None:
    """The many jobs and the many kills."""
    begun, over = time.time(), threading.Event()
    with told_by(rig) as told, ThreadPoolExecutor(1) as pool:
        showing = pool.submit(_show, history, rig, over)
        scenarios.storm(
            rig,
            history,
            known,
            clients=options.clients,
            jobs=options.jobs,
            kills=options.kills,
            seed=options.seed,
            seconds=60 * options.minutes,
        )
        over.set()
        showing.result()
        seconds = time.time() - begun
        until(lambda: all(_ended(rig, each.job_id) for each in history.accepted), "all have ended")
        records = [rig.jobs.get(each.job_id) for each in history.accepted]
        untold = check_told(told, records)
        report.say(
            "storm: seconds until the last end was told", round(time.time() - begun - seconds)
        )
    report.say("storm: webhooks", told.figures)
    report.say("storm: webhooks, broken promises", len(untold))
    report.broken += [f"storm: {line}" for line in untold]
    report.say("storm: accepted jobs", len(history.accepted))
    report.say("storm: killed processes", rig.killed)
    if len(history.accepted) < options.jobs or rig.killed < options.kills:
        wanted = f"{options.jobs} jobs and {options.kills} kills"
        report.say("storm: cut off by the clock before", f"{wanted}; a larger --minutes helps")
    report.say("storm: jobs per second, faults included", round(len(history.accepted) / seconds, 2))
    report.say("storm: faults", dict(Counter(kill.role for kill in rig.kills)))
    report.say("storm: ended", dict(Counter(str(job.state) for job in records)))
    codes = Counter(job.failure.code for job in records if job.failure)
    report.say("storm: failures", dict(codes))
    report.say("storm: attempts per job", dict(Counter(job.attempt for job in records)))
    report.say("storm: answers", dict(sorted(history.statuses.items())))
    slow = {kind: _spread(times) for kind, times in sorted(history.seconds.items())}
    report.say("storm: seconds to answer (p50 p95 p99 max)", slow)
    histories = [rig.jobs.events(job.id) for job in records]
    recovered = _recoveries(histories, rig)
    for role, times in recovered.items():
        report.say(
            f"recovery after a killed {role} (n p50 p95 p99 max)", [len(times), *_spread(times)]
        )
    read = sum(each.read_to_the_end for each in history.submissions)
    report.say("storm: event streams read to the end", read)
    report.judge("storm", rig, history)
    for role in ("worker", "horse"):
        late = [seconds for seconds in recovered.get(role, []) if seconds > 30]
        if len(late) > 0.01 * len(recovered.get(role, [])):
            report.broken.append(f"recovery after a killed {role}: {late} s")


def _show(history: History, rig: Rig, over: threading.Event) -> None:
    while not over.wait(30):
        print(f"  {len(history.accepted)} accepted, {len(rig.kills)} faults", flush=True)  # noqa: T201


def _ended(rig: Rig, job_id: str) -> bool:
    return rig.jobs.get(job_id).state.terminal


def _recoveries(histories: list[list[Event]], rig: Rig) -> dict[str, list[float]]:
    """Seconds from the kill that ended an attempt to the next start, by who was killed."""
    found: dict[str, list[float]] = {}
    for events in histories:
        starts = {e.attempt: e.created_at for e in events if e.type is EventType.STARTED}
        ends = [e.created_at for e in events if e.type.terminal]
        for event in events:
            if event.type is not EventType.QUEUED or event.data.get("reason") != "worker_lost":
                continue
            begun, again = starts.get(event.attempt - 1), starts.get(event.attempt, ends[0])
            if begun is None:
                continue
            deadly = [kill for kill in rig.kills if kill.role in ("worker", "horse", "supervisor")]
            causes = [kill for kill in deadly if begun <= kill.at <= event.created_at]
            if causes:
                within = [kill.role for kill in deadly if begun <= kill.at <= again]
                # Where the supervisor was killed, too, everything had to start anew.
                role = "supervisor" if "supervisor" in within else causes[-1].role
                found.setdefault(role, []).append(again - causes[-1].at)
    return found


def _outages(
    rig: Rig, history: History, known: list[Case], options: argparse.Namespace, report: Report
) -> None:
    """The queue away for a while, clients at work."""
    for seconds in options.outages:
        with ThreadPoolExecutor(4) as pool:
            clients = [Client(rig.url, history, options.seed * 1000 + 900 + n) for n in range(3)]
            living = [pool.submit(client.live, known, 15) for client in clients]
            time.sleep(1)
            begun, accepted = time.monotonic(), len(history.accepted)
            rig.keep_valkey_down(seconds)
            down = time.monotonic() - begun
            meanwhile = len(history.accepted) - accepted
            for each in living:
                each.result()
            for client in clients:
                client.__exit__()
        report.say(
            f"queue down for {seconds:g} s",
            {"kept down": round(down, 1), "accepted meanwhile": meanwhile, "all": 45},
        )
        report.judge(f"queue down for {seconds:g} s", rig, history)


def _cancels(
    rig: Rig, history: History, known: list[Case], options: argparse.Namespace, report: Report
) -> None:
    """Cancel at every point of a job's life, its worker alive or dead."""
    rng = Random(options.seed)
    answered: list[float] = []
    gone: list[float] = []
    with Client(rig.url, history, options.seed * 1000 + 950) as client:
        for n in range(options.cancels):
            point = ["job.forked", "job.claimed", "job.written", "job.sealed"][n % 4]
            with rig.stopped_at(point) as find:
                wanted = client.submit(rng.choice(known))
                horse = find()
                worker = horse.parent()
                if n % 2 and worker is not None:
                    rig.kill_process(worker, "worker")
                begun = time.monotonic()
                client.cancel(wanted)
                answered.append(time.monotonic() - begun)
                horse.wait(timeout=20)
                gone.append(time.monotonic() - begun)
            client.read_events(wanted)
            if wanted.cancel_answers != ["canceled"]:
                report.broken.append(f"cancel at {point}: {wanted.cancel_answers}")
    report.say(
        "cancel, every other with a dead worker: answered (p50 p95 p99 max)", _spread(answered)
    )
    report.say("cancel: work horse gone (p50 p95 p99 max)", _spread(gone))
    if max(answered) > 5:
        report.broken.append(f"a cancel took {max(answered):.1f} s")
    report.judge("cancel", rig, history)


def _flips(
    rig: Rig,
    stored: Stored,
    history: History,
    known: list[Case],
    options: argparse.Namespace,
    report: Report,
) -> None:
    """One flipped bit anywhere in a stored result or image is reported, never served."""
    rng = Random(options.seed)
    codes: Counter[str] = Counter()
    with Client(rig.url, history, options.seed * 1000 + 960) as client:
        wanted = client.submit(known[0])
        client.follow(wanted)
    job = rig.jobs.get(wanted.job_id)
    attempt = in_attempt(job.id, job.attempt)
    image = Images(rig.database).get(job.request.image_id)
    for name, path in (
        (f"{attempt}/result.npy", "result?format=tiff"),
        (f"{attempt}/report.json", "report"),
        (f"images/{image.folder}/{PIXELS}", "residual"),
    ):
        with stored.damaged(name, rng, 50) as flips:
            for _ in flips:
                url = f"{rig.url}/v1/jobs/{job.id}/{path}"
                answer = httpx.get(url, trust_env=False, timeout=20)
                codes[f"{answer.status_code} {answer.json().get('code')}"] += 1
    report.say("flipped bits: answers", dict(codes))
    if codes != {"500 damaged_artifact": 100, "500 damaged_image": 50}:
        report.broken.append(f"a flipped bit was answered with {dict(codes)}")
    report.judge("flipped bits", rig, history)


def _duplicates(
    rig: Rig, history: History, known: list[Case], options: argparse.Namespace, report: Report
) -> None:
    """Fifty at once with one key, again and again."""
    jobs, before = [], Counter(history.statuses)
    for n in range(10):
        seed = options.seed * 100_000 + 100 * n
        wanted = scenarios.duplicates([rig.url], history, known[n], count=50, seed=seed)
        jobs.append(len(wanted.ids))
        until(lambda w=wanted: _ended(rig, w.job_id), "it has ended")  # type: ignore[misc]
    answers = {name: n for name, n in (history.statuses - before).items() if "POST /jobs:" in name}
    report.say("50 submissions with one key: jobs made", jobs)
    report.say("50 submissions with one key: answers", answers)
    report.judge("duplicates", rig, history)


def _full_disk(folder: Path, known: list[Case], report: Report) -> None:
    """The disk full while clients submit, several times."""
    try:
        with scenarios.small_disk(folder / "disk", 32) as disk:
            rig, history = Rig(folder / "small", workers=1, data_dir=disk), History()
            rig.start()
            answers: Counter[str] = Counter()
            with Client(rig.url, history, 970, allowed=(503, 507)) as client:
                for n in range(5):
                    accepted = [client.submit(case) for case in known[:5]]
                    with scenarios.full(disk):
                        for case in known[n * 5 : n * 5 + 10]:
                            _, answer = client.try_to_submit(case)
                            answers[str(answer.status_code if answer is not None else None)] += 1
                    for each in accepted:
                        client.follow(each)
            until(lambda: all(_ended(rig, each.job_id) for each in history.accepted), "the end")
            states = Counter(str(rig.jobs.get(each.job_id).state) for each in history.accepted)
            report.say("full disk: answers to submissions", dict(answers))
            report.say("full disk: accepted jobs ended", dict(states))
            report.judge("full disk", rig, history)
            rig.stop()
    except PermissionError as error:
        report.say("full disk", f"not tried: {error}")


def _spread(values: list[float]) -> list[float]:
    return [round(float(np.percentile(values, p)), 3) for p in PERCENTILES] if values else []


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
