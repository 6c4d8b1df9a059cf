"""A real server, and the ways to break it."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
from redis import Redis
from redis.exceptions import RedisError

from tests.support.servers import SERVE, free_port, ready, start_python
from tests.support.waiting import until
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.processes.spare import NAME as SPARE
from worker.settings import Settings
from worker.store.opening import open_store

MOST_JOBS = 1_000_000
LEASE = 8.0  # s, the shortest that is allowed
DELIVERING = {"REUCID_WEBHOOK_PRIVATE": "true"}  # to this machine
ROLES = ("api", "dispatcher", "worker", "horse", "spare", "valkey", "supervisor")


@dataclass
class Kill:
    """What was killed, and when."""

    role: str
    at: float  # s since the epoch


@dataclass
class Rig:
    """`reucid serve` on a folder of its own, started again on the same port when it is killed."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: int = 2
    beside: Mapping[str, str] = field(default_factory=dict)  # of the environment, no settings
    data_dir: Path | None = None
    kills: list[Kill] = field(default_factory=list)
    extra: list[subprocess.Popen[bytes]] = field(default_factory=list)
    held: set[int] = field(default_factory=set)  # stopped processes that a test keeps

    def __post_init__(self) -> None:
        for name in ("stop-at", "run"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.settings = Settings(
            data_dir=self.data_dir or self.folder / "data",
            workers=self.workers,
            lease_s=LEASE,
            port=self.port,
            min_free_mib=0,  # a full disk is found out by writing
            max_queued=MOST_JOBS,
            max_queued_per_owner=MOST_JOBS,
            **{name.removeprefix("REUCID_").lower(): v for name, v in self.environment.items()},
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.database = Database(self.settings.ledger_url)
        self.store = open_store(self.settings)

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.database)

    @property
    def log(self) -> Path:
        """What all processes of this server have said."""
        return self.folder / "log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = self.run(*SERVE, "--port", str(self.port))
        self.await_ready()

    def run(self, *command: str, **more: str) -> subprocess.Popen[bytes]:
        """Start Python as a part of this server, with its settings."""
        environment = {
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "REUCID_STOP_AT": str(self.folder / "stop-at"),
        }
        return start_python(
            *command,
            log=self.log,
            environment=self.settings.as_environment() | environment | dict(self.beside) | more,
        )

    def start_beside(self, *command: str, **more: str) -> subprocess.Popen[bytes]:
        """Start one more process of this server, which ends with it."""
        process = self.run(*command, REUCID_REDIS_URL=self.redis_url, **more)
        self.extra.append(process)
        return process

    def await_ready(self, url: str | None = None) -> None:
        until(lambda: ready(url or self.url), f"ready; see {self.log}")

    def stop(self) -> None:
        """End everything at once, and see that it has ended."""
        assert self.process is not None
        family = psutil.Process(self.process.pid).children(recursive=True)
        for process in [*self.extra, self.process]:
            process.kill()
            process.wait()
        _, alive = psutil.wait_procs(family, timeout=10)
        self.database.close()
        assert not alive, f"still alive: {alive}"

    # --- looking ---

    def processes(self, role: str) -> list[psutil.Process]:
        """The living processes of a role."""
        assert self.process is not None
        supervisor = psutil.Process(self.process.pid)
        if role == "supervisor":
            return [supervisor]
        found = []
        for process in supervisor.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() != psutil.STATUS_ZOMBIE and role == self._role(process):
                    found.append(process)
        return found

    def _role(self, process: psutil.Process) -> str:
        assert self.process is not None
        command = process.cmdline()
        if process.name() == "valkey-server":
            return "valkey"
        if "app.api" in command and process.ppid() == self.process.pid:
            return "api"
        if command[-1:] == ["dispatch"]:
            return "dispatcher"
        if command[-1:] == ["work"]:
            if process.ppid() == self.process.pid:
                return "worker"
            return "spare" if process.name() == SPARE else "horse"
        return "other"

    @property
    def redis_url(self) -> str:
        if self.settings.redis_url:
            return self.settings.redis_url
        (api,) = self.processes("api")
        return str(api.environ()["REUCID_REDIS_URL"])

    @contextmanager
    def stopped_at(self, point: str) -> Iterator[Callable[[], psutil.Process]]:
        """Have the next process that comes to a named point stop there; find it."""
        armed = self.folder / "stop-at" / point
        armed.touch()

        def find() -> psutil.Process:
            until(lambda: not armed.exists(), f"{point} is reached")
            until(self.stopped, f"somebody has stopped at {point}")
            return self.stopped()[0]

        try:
            yield find
        finally:
            armed.unlink(missing_ok=True)

    def stopped(self) -> list[psutil.Process]:
        """Processes that were stopped, but for those that a test keeps so."""
        assert self.process is not None
        found = []
        roots = [psutil.Process(each.pid) for each in (self.process, *self.extra)]
        for process in [*roots, *(each for root in roots for each in root.children(True))]:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() == psutil.STATUS_STOPPED and process.pid not in self.held:
                    found.append(process)
        return found

    # --- breaking ---

    def kill(self, role: str, rng: Random) -> bool:
        """Kill a process of a role, if there is one; a killed supervisor is started again."""
        if role == "supervisor":
            self.kill_everything()
            return True
        found = self.processes(role)
        if not found:
            return False
        victim = rng.choice(found)
        try:
            self.kill_process(victim, role)
        except psutil.NoSuchProcess:
            return False
        return True

    def kill_process(self, process: psutil.Process, role: str) -> None:
        """Kill it; one that has gone by itself is not counted."""
        at = time.time()
        process.kill()
        self.kills.append(Kill(role, at))

    @property
    def killed(self) -> int:
        """How many processes were killed; to wipe the queue kills none."""
        return sum(kill.role != "wipe" for kill in self.kills)

    def kill_everything(self) -> None:
        """Kill the supervisor, with which everything dies, and start it again."""
        assert self.process is not None
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.kills.append(Kill("supervisor", time.time()))
        self.process.kill()
        self.process.wait()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive, f"outlived their supervisor: {alive}"
        self.start()

    def wipe_valkey(self) -> None:
        with (
            contextlib.suppress(RedisError, OSError, ValueError, StopIteration),
            Redis.from_url(self.redis_url, socket_timeout=2) as redis,
        ):
            redis.flushall()
            self.kills.append(Kill("wipe", time.time()))

    def hang(self, role: str, seconds: float, rng: Random) -> None:
        """Stop a process for a while."""
        found = self.processes(role)
        if not found:
            return
        victim = rng.choice(found)
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.suspend()
            time.sleep(seconds)
            victim.resume()

    def keep_valkey_down(self, seconds: float) -> None:
        """Kill Valkey whenever it comes up."""
        end = time.monotonic() + seconds
        self.kills.append(Kill("valkey", time.time()))
        while time.monotonic() < end:
            for process in self.processes("valkey"):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.02)
