"""A PostgreSQL of the tests' own: a private cluster on a Unix socket, gone when they end."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from worker.kernel import die_with

DATABASES = ("sqlite", "postgresql")  # which a test of the ledger tries
PATIENCE = 60.0  # s for the cluster to come up


class NoPostgresError(Exception):
    """Why there is no PostgreSQL here."""


def binaries() -> Path:
    """Folder of Debian's or anybody's `initdb` and `postgres`."""
    found = [Path(path) for path in [shutil.which("initdb")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise NoPostgresError("PostgreSQL is not installed (on Debian: apt install postgresql)")
    return found[-1].parent


def unprivileged() -> dict[str, Any]:
    """How to run a command as somebody other than root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise NoPostgresError("PostgreSQL refuses root, and there is no other user to run it")


@dataclass
class Cluster:
    """A running PostgreSQL; `start` and `stop` may be called again."""

    folder: Path
    durable: bool = False  # against a power cut, which no test makes
    process: subprocess.Popen[bytes] | None = None
    _numbers: "count[int]" = field(default_factory=count)

    @classmethod
    def make(cls, *, durable: bool = False) -> "Cluster":
        """A new cluster, in a folder short enough for its socket."""
        programs, who = binaries(), unprivileged()
        folder = Path(tempfile.mkdtemp(prefix="reucid-pg-", dir="/tmp"))
        if who:
            os.chown(folder, who["user"], who["group"])
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "reucid", "-A", "trust", "-N"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **who,
        )
        cluster = cls(folder, durable)
        cluster.start()
        return cluster

    def start(self) -> None:
        options = {
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "max_connections": 200,
            "log_min_messages": "fatal",
        }
        command = [binaries() / "postgres", "-D", self.folder / "data"]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        parent = os.getpid()
        self.process = subprocess.Popen(
            command,
            cwd="/",
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: die_with(parent),
            **unprivileged(),
        )
        end = time.monotonic() + PATIENCE
        while not self._answers():
            assert time.monotonic() < end
            assert self.process.poll() is None, "PostgreSQL has ended"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends all sessions in order, SIGQUIT as a crash would."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(PATIENCE)

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def create(self) -> str:
        """The URL of a new, empty database."""
        name = f"ledger{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return f"postgresql+psycopg://reucid@/{name}?host={self.folder}"

    def _connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            host=str(self.folder), user="reucid", dbname="postgres", autocommit=True
        )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True
