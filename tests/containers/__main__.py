"""`python -m tests.containers`: build the images, run `docker/compose.yaml`, and break it.

While clients submit and follow jobs through the proxy: scale the workers, kill each member, empty
Valkey, restart PostgreSQL, upgrade API and workers one by one, back up; then remove everything and
restore (with `--objects` all but the object store, whose backups are not ours). Exit status 1 when
a job was lost, doubled or made wrong, or a member had to be killed.
Where containers cannot be built nothing is done, and it says why.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.containers import tools
from tests.containers.objects import ObjectStore
from tests.containers.project import MEMBERS, Project
from tests.faults.__main__ import Report, _machine
from tests.faults.cases import Case, cases
from tests.faults.history import TERMINAL, History
from tests.machines.proxied import ProxiedClient
from tests.support.places import ROOT
from tests.support.waiting import until

IMAGE, OTHERS = "localhost/reucid", "localhost/reucid-debian"
NEXT_VERSION = "0.1.1.dev0"
QUIET = 6.0  # s of ordinary work between two faults
NAMES = ("reucid-try", "reucid-restored")


def main() -> None:
    """Do all of it, print figures, write them."""
    options = _options()
    try:
        tools.check()
    except tools.NoToolsError as error:
        print(f"skipped: {error}")  # noqa: T201
        return
    report = Report()
    report.say("machine", _machine())
    images = _build(report)
    with tempfile.TemporaryDirectory(prefix="reucid-containers-") as name:
        folder = Path(name)
        objects = ObjectStore(folder, OTHERS) if options.objects else None
        project = Project(NAMES[0], folder, images[0], OTHERS, objects)
        try:
            if objects is not None:
                objects.start()
            _try(project, images[1], options, report)
        finally:
            project.down()
            Project(NAMES[1], folder, images[0], OTHERS, objects).down()
            if objects is not None:
                objects.stop()
            if not options.keep:
                for image in (*images, OTHERS):
                    project.podman("rmi", image)
    report.say("broken promises", len(report.broken))
    for line in report.broken[:20]:
        print("   ", line[:400])  # noqa: T201
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report.figures | {"broken": report.broken}, indent=1))
    sys.exit(bool(report.broken))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.containers", description=__doc__)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--no-faults", action="store_true", help="only run, back up and restore")
    parser.add_argument(
        "--objects", action="store_true", help="with compose.s3.yaml and an object store"
    )
    parser.add_argument("--keep", action="store_true", help="keep the images for the next time")
    parser.add_argument("--output", type=Path, default=Path("build/containers.json"))
    return parser.parse_args()


def _build(report: Report) -> tuple[str, str]:
    """The image of this version, and one that says it is the next."""
    begun = time.monotonic()
    base = tools.base_image()
    now, later = f"{IMAGE}:now", f"{IMAGE}:later"
    tools.build(ROOT / "docker" / "Dockerfile", ROOT, now, base)
    version = f"VERSION={NEXT_VERSION}"
    following = tools.HERE / "next"
    tools.build(following / "Dockerfile", following, later, now, "--build-arg", version)
    debian = tools.HERE / "debian"
    tools.build(debian / "Dockerfile", debian, OTHERS, base)
    report.say("built in s", round(time.monotonic() - begun))
    report.say("image: MB", round(tools.size(now) / 1e6))
    report.say("of these its base: MB", round(tools.size(base) / 1e6))
    return now, later


def _try(project: Project, later: str, options: argparse.Namespace, report: Report) -> None:
    known = cases(16)
    begun = time.monotonic()
    project.up_data()
    key = project.make_key()
    project.up()
    project.await_ready()
    report.say("from nothing to ready: s", round(time.monotonic() - begun, 1))
    for member in MEMBERS:
        for container in project.containers(member):
            project.await_healthy(container)
    report.say("healthy", {member: len(project.containers(member)) for member in MEMBERS})
    history = History()
    with _clients(project, key, history, known, options.clients):
        if not options.no_faults:
            _break(project, report)
            _upgrade(project, later, report)
        backup = project.folder / "backup"
        project.back_up(backup)
        time.sleep(QUIET)
    _judge(report, "run", project, history)
    before = _results(history)
    project.down()
    if project.objects is not None:
        report.say("objects in the bucket", project.objects.objects())
    restored = Project(NAMES[1], project.folder, later, OTHERS, project.objects)
    _restore(restored, key, backup, before, report, known)


def _break(project: Project, report: Report) -> None:
    """More workers; each kind of container killed, queue and database restarted."""
    _step(report, "scaled from 1 to 3 workers", lambda: _scale(project, 3))
    for service in (*MEMBERS, "valkey", "postgres", "proxy"):
        container = project.containers(service)[0]
        _step(report, f"killed {container}", lambda c=container: _kill(project, c), project)
    _step(report, "Valkey restarted empty", lambda: _restart(project, "valkey"), project)
    _step(report, "PostgreSQL restarted", lambda: _restart(project, "postgres"), project)


def _upgrade(project: Project, later: str, report: Report) -> None:
    """To the next release, member by member."""
    for member in ("dispatch", "work", "live", "api"):
        report.say(f"rolled {member}: s to stop each", _roll(project, member, later))
        time.sleep(QUIET)
    report.say("version that answers", got := _version(project))
    if got != NEXT_VERSION:
        report.broken.append(f"got version {got} after the upgrade, expected {NEXT_VERSION}")


@contextmanager
def _clients(
    project: Project, key: str, history: History, known: list[Case], number: int
) -> Iterator[None]:
    """Clients who submit one job after the other while the block lasts."""
    over = threading.Event()

    def live(seed: int) -> None:
        with ProxiedClient(project.url, history, seed, key=key) as client:
            while not over.is_set():
                client.see_through(known)

    with ThreadPoolExecutor(number) as pool:
        living = [pool.submit(live, seed) for seed in range(number)]
        try:
            until(lambda: _ended(history) > 2 * number, "the first jobs have ended")
            yield
        finally:
            over.set()
        for each in living:
            each.result()


def _step(
    report: Report, name: str, do: Callable[[], None], project: Project | None = None
) -> None:
    """Do it, and say how long all needed to be well again, and how many jobs ended meanwhile."""
    begun = time.monotonic()
    do()
    if project is not None:
        project.await_ready()
    report.say(f"{name}: s until all is well", round(time.monotonic() - begun, 1))
    time.sleep(QUIET)


def _scale(project: Project, number: int) -> None:
    project.scale("work", number)
    until(lambda: len(project.containers("work")) == number, f"{number} workers")
    for container in project.containers("work"):
        project.await_healthy(container)


def _kill(project: Project, container: str) -> None:
    project.kill(container)
    if any(container in project.containers(member) for member in MEMBERS):
        project.await_healthy(container)


def _restart(project: Project, service: str) -> None:
    (container,) = project.containers(service)
    project.podman("restart", "--time", "20", container)


def _roll(project: Project, member: str, image: str) -> list[float]:
    """Start one of the new beside the old, then stop an old one, until none is left."""
    old = project.containers(member)
    taken = []
    for n, container in enumerate(old, 1):
        project.scale(member, len(old) + n, image)
        for new in set(project.containers(member)) - set(old):
            project.await_healthy(new)
        taken.append(round(project.stop(container), 1))
    for container in old:
        project.remove(container)
    return taken


def _version(project: Project) -> str:
    return str(
        httpx.get(f"{project.url}/v1/version", trust_env=False, timeout=60).json()["version"]
    )


def _ended(history: History) -> int:
    return sum(each.states[-1:] != [] and each.states[-1] in TERMINAL for each in history.accepted)


def _judge(report: Report, name: str, project: Project, history: History) -> None:
    """What the clients were told, held against what they are promised."""
    accepted = history.accepted
    headers = {"Authorization": f"Bearer {project.key}"}
    with httpx.Client(base_url=f"{project.url}/v1", headers=headers, trust_env=False) as client:
        listed = list(_all_jobs(client))
    ended = Counter(job["state"] for job in listed)
    report.say(f"{name}: jobs accepted", len(accepted))
    report.say(f"{name}: ended", dict(ended))
    report.say(f"{name}: attempts", dict(Counter(job["attempt"] for job in listed)))
    report.say(f"{name}: answers", dict(sorted(history.statuses.items())))
    report.say(f"{name}: 5xx also when asked again", len(history.complaints))  # no database
    ids = Counter(job["id"] for job in listed)
    for each in accepted:
        if len(each.ids) != 1 or ids[next(iter(each.ids))] != 1:
            report.broken.append(f"{name}: {each.key} is {each.ids}")
        wrong = [found for found in each.results if found != each.case.sha256]
        if wrong:
            report.broken.append(f"{name}: {each.key} got another result")
        if each.read_to_the_end and [n for n, _ in each.events] != sorted(
            {n for n, _ in each.events}
        ):
            report.broken.append(f"{name}: {each.key} has events out of order")
        terminal = [kind for _, kind in each.events if kind in TERMINAL]
        if each.read_to_the_end and len(terminal) != 1:
            report.broken.append(f"{name}: {each.key} ended {terminal}")
    if len(listed) != len(accepted):
        report.broken.append(f"{name}: {len(listed)} jobs, {len(accepted)} accepted")
    for state in set(ended) - {"succeeded", "canceled"}:
        report.broken.append(f"{name}: {ended[state]} jobs {state}")
    report.say(f"{name}: results fetched", sum(len(each.results) for each in accepted))


def _all_jobs(client: httpx.Client) -> Iterator[dict[str, str]]:
    path = "/jobs?limit=100"
    while path:
        answer = client.get(path).raise_for_status()
        yield from answer.json()["jobs"]
        following = answer.links.get("next", {}).get("url", "")
        path = f"/jobs?{following.partition('?')[2]}" if following else ""


def _results(history: History) -> dict[str, str]:
    """Jobs and the digests of their results, as far as they were fetched."""
    return {each.job_id: each.results[-1] for each in history.accepted if each.results}


def _restore(
    project: Project,
    key: str,
    backup: Path,
    before: dict[str, str],
    report: Report,
    known: list[Case],
) -> None:
    """Results that were there at the time of the backup are there again, and work goes on."""
    begun = time.monotonic()
    project.key = key
    project.up_data()
    project.compose("up", "--no-start", "--no-build")
    project.restore(backup)
    project.up()
    project.await_ready()
    report.say("restored: s", round(time.monotonic() - begun, 1))
    headers = {"Authorization": f"Bearer {key}"}
    same, missing = 0, 0
    with httpx.Client(
        base_url=f"{project.url}/v1", headers=headers, timeout=30, trust_env=False
    ) as client:
        for job_id, digest in before.items():
            answer = client.get(f"/jobs/{job_id}/result", params={"format": "npy"})
            if answer.status_code == 404:
                missing += 1  # submitted after the backup
            elif answer.is_success and hashlib.sha256(answer.content).hexdigest() == digest:
                same += 1
            elif answer.status_code != 409:  # not done yet when the backup was made
                report.broken.append(f"restored: {job_id} is answered {answer.status_code}")
    report.say("restored: results as before, made after the backup", [same, missing])
    if not same:
        report.broken.append("restored: no result is there")
    history = History()
    with ProxiedClient(project.url, history, 1, key=key) as client_again:
        client_again.see_through(known)
    if not history.accepted[0].results:
        report.broken.append("restored: a new job has no result")


if __name__ == "__main__":
    main()
