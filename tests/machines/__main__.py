"""`python -m tests.machines`: many clients of two APIs behind nginx, one of which is killed often.

A client asks again once when it gets a 5xx or no answer. Exit status 1 when the second answer was
one, too, or a job was lost, doubled or made wrong. Without nginx nothing is done, and it says so.
"""

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np

from tests.faults.__main__ import Report, _database, _machine
from tests.faults.cases import Case, cases
from tests.faults.checker import OWNER, check
from tests.faults.history import History
from tests.machines.nginx import NoNginxError, nginx, program
from tests.machines.proxied import ProxiedClient
from tests.support.servers import Member, Members, ready, valkey_server
from tests.support.waiting import until
from worker.contract import Scope
from worker.ledger.database import Database, open_database
from worker.ledger.keys import Keyring
from worker.settings import Settings
from worker.store.opening import open_store

PERCENTILES = (50, 95, 99, 100)
PATIENCE = 300.0  # s for an API to start beside everything else


def main() -> None:
    """Run, print figures, write them."""
    options = _options()
    try:
        program()
    except NoNginxError as error:
        print(f"skipped: {error}")  # noqa: T201
        return
    report = Report()
    report.say("machine", _machine())
    stated = {name: str(value) for name, value in vars(options).items()}
    report.say("options", stated)
    known = cases(32)
    with (
        tempfile.TemporaryDirectory(prefix="reucid-machines-") as name,
        valkey_server(Path(name)) as valkey,
        _database(options.database) as environment,
    ):
        folder = Path(name)
        settings = Settings(
            data_dir=folder / "data",
            redis_url=valkey.url,
            database_url=environment.get("REUCID_DATABASE_URL"),
            lease_s=8.0,
            min_free_mib=0,
            rate_limit="",
        )
        members = Members(folder, settings)
        try:
            _run(members, known, options, report)
        finally:
            members.stop()
            if options.keep_logs:
                logs = shutil.ignore_patterns("data", "*.sock", "*_temp", "proxy")
                shutil.copytree(folder, options.keep_logs, dirs_exist_ok=True, ignore=logs)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report.figures | {"broken": report.broken}, indent=1))
    sys.exit(bool(report.broken))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.machines", description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--every", type=float, default=20.0, help="seconds between two kills")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-logs", type=Path, metavar="FOLDER")
    parser.add_argument("--output", type=Path, default=Path("build/machines.json"))
    return parser.parse_args()


def _run(members: Members, known: list[Case], options: argparse.Namespace, report: Report) -> None:
    with closing(open_database(members.settings)) as database:
        _, key = Keyring(database).create(owner=OWNER, scopes={Scope.SUBMIT, Scope.READ})
    apis = [members.start("api") for _ in range(2)]
    for role in ("dispatch", *["work"] * options.workers):
        members.start(role)
    for member in apis:
        until(lambda url=member.url: ready(url), f"ready; see {member.log}", PATIENCE)
    history = History()
    over = threading.Event()
    with (
        nginx(members.folder / "nginx", [each.url for each in apis]) as url,
        ThreadPoolExecutor(options.clients + 1) as pool,
    ):
        killing = pool.submit(_kill_again_and_again, members, apis, options, over)
        end = time.monotonic() + 60 * options.minutes
        living = [
            pool.submit(_live, ProxiedClient(url, history, seed, key=key), known, end)
            for seed in range(options.clients)
        ]
        try:
            for each in living:
                each.result()
        finally:
            over.set()
        kills, away = killing.result()
    database, store = Database(members.settings.ledger_url), open_store(members.settings)
    report.broken += check(history, database, store)
    report.broken += history.complaints
    database.close()
    report.say("API processes killed", kills)
    report.say("seconds until the killed one answered again", [round(each, 1) for each in away])
    report.say("jobs accepted", len(history.accepted))
    report.say("answers", dict(sorted(history.statuses.items())))
    statuses = Counter(history.statuses)
    report.say("questions asked again", statuses["asked again"])
    report.say("5xx also when asked again", len(history.complaints))
    for kind, seconds in sorted(history.seconds.items()):
        row = [round(float(np.percentile(seconds, p)), 3) for p in PERCENTILES]
        report.say(f"{kind}: s, p50 p95 p99 most", row)
    report.say("broken promises", len(report.broken))
    for line in report.broken[:20]:
        print("   ", line[:400])  # noqa: T201


def _live(client: ProxiedClient, known: list[Case], end: float) -> None:
    with client:
        while time.monotonic() < end:
            client.see_through(known)


def _kill_again_and_again(
    members: Members, apis: list[Member], options: argparse.Namespace, over: threading.Event
) -> tuple[int, list[float]]:
    """Kill one of the APIs every so many seconds; start it again at the same place."""
    rng, kills, away = Random(options.seed), 0, []
    while not over.wait(options.every):
        n = rng.randrange(len(apis))
        apis[n].process.kill()
        apis[n].process.wait()
        begun = time.monotonic()
        apis[n] = members.start_again(apis[n])
        until(lambda url=apis[n].url: ready(url), f"ready; see {apis[n].log}", PATIENCE)
        away.append(time.monotonic() - begun)
        kills += 1
    return kills, away


if __name__ == "__main__":
    main()
