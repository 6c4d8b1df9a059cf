"""A whole server on hosts of its own: control, ledger, queue, store, and one for each worker."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.cases import SIZE
from tests.faults.catching import Catcher
from tests.faults.checker import OWNER, check
from tests.faults.history import Client, History
from tests.partitions.network import SWITCH, Direction, Network
from tests.partitions.slow import slow_link
from tests.support.buckets import s3_server
from tests.support.postgres import Cluster
from tests.support.servers import Member, Members, ready, valkey_server
from tests.support.waiting import until
from worker.contract import Scope
from worker.ledger import members
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.ledger.keys import Keyring
from worker.ledger.workers import Workers
from worker.settings import Settings
from worker.store import Store
from worker.store.opening import open_store

LEASE = 8.0  # s, the shortest that is allowed
PATIENCE = 900.0  # s for a server to start beside others, on a busy machine
FRAMES, PARTS = 12, 6  # of the stacks that its workers share
LATELY = 5.0  # s within which a worker that is well was heard of


@dataclass
class WorkerHost:
    """A host that has a worker, some of whose links will be cut."""

    name: str
    member: Member
    catcher: Catcher


class Deployment:
    """A running server; whoever uses it is at the switch, where every host is reached.

    Parameters
    ----------
    network : Network
    folder : Path
    settings : Settings
        As all members have them.
    """

    def __init__(self, network: Network, folder: Path, settings: Settings) -> None:
        self.network = network
        self.history = History()
        self.settings = settings
        self.database = Database.open(settings.ledger_url)
        self.store: Store = open_store(settings)
        _, self._key = Keyring(self.database).create(owner=OWNER, scopes={Scope.SUBMIT, Scope.READ})
        self._members = Members(folder, settings)
        self.hosts: list[WorkerHost] = []

    def start(self, workers: list[str]) -> None:
        """Start all members; wait until they are there."""
        with self.network.entered("control"):
            self._api = self._members.start("api", host=self.network.address("control"))
            self._members.start("dispatch")
        self.hosts = [self._start_worker(name) for name in workers]
        until(lambda: ready(self._api.url), f"ready; see {self._api.log}", PATIENCE)
        alive = Workers(self.database).alive
        until(lambda: alive(within_s=60) >= len(workers), "all workers are there", PATIENCE)

    def _start_worker(self, name: str) -> WorkerHost:
        folder = self._members.folder / name
        catcher = Catcher(folder / "stop-at", lambda: [host.member.process])
        with self.network.entered(name):  # a machine with a disk of its own
            member = self._members.start("work", catcher.environment, data_dir=folder / "data")
        host = WorkerHost(name, member, catcher)  # of which the catcher knows when it is asked
        return host

    def stop(self) -> None:
        self._members.stop()
        self.database.close()

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.database)

    def client(self, seed: int) -> Client:
        return Client(self._api.url, self.history, seed, key=self._key)

    def check(self) -> list[str]:
        """All broken promises."""
        return check(self.history, self.database, self.store)

    def cut(
        self, host: WorkerHost, service: str, direction: Direction
    ) -> AbstractContextManager[None]:
        """Lose packets between a worker and a service while the context lasts."""
        return self.network.cut(host.name, service, direction)

    def await_back(self, host: WorkerHost) -> bool:
        """Wait until a worker gives signs of life; False, and another one, if it has ended."""
        others = members.Members(self.database)

        def back() -> bool:
            process = host.member.process
            alive = others.alive(within_s=LATELY)
            return process.poll() is not None or any(
                each.name.endswith(f":{process.pid}") for each in alive
            )

        until(back, f"{host.name} is back; see {host.member.log}")
        if host.member.process.poll() is None:
            return True
        with self.network.entered(host.name):
            host.member = self._members.start_again(host.member)
        return False


@contextmanager
def deployed(
    folder: Path,
    workers: int,
    model: Path | None = None,
    *,
    delay_s: float = 0.0,
    loss: float = 0.0,
) -> Iterator[Deployment]:
    """A server with so many workers, ready, and this thread at its switch.

    With a delay, the workers' links are slow and lose a share of all packets, each way.

    The credentials of the tests' buckets have to be in the environment.

    Raises
    ------
    NoPostgresError, NoS3Error
    """
    names = [f"worker{n}" for n in range(1, workers + 1)]
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        for host in ("control", "ledger", "queue", "store", *names):
            network.add_host(host)
            (folder / host).mkdir(parents=True)
        for seed, name in enumerate(names if delay_s else []):
            stack.enter_context(slow_link(network, name, delay_s=delay_s, loss=loss, seed=seed))
        with network.entered("ledger"):
            cluster = Cluster.make(network.address("ledger"))
        stack.callback(cluster.remove)
        with network.entered("queue"):
            valkey = stack.enter_context(valkey_server(folder / "queue", network.address("queue")))
        with network.entered("store"):
            s3 = stack.enter_context(s3_server(folder / "store", network.address("store")))
            store_url = s3.url(s3.bucket())
        stack.enter_context(network.entered(SWITCH))
        settings = Settings(
            data_dir=folder / "control" / "data",
            database_url=cluster.create(),
            redis_url=valkey.url,
            store_url=store_url,
            lease_s=LEASE,
            min_free_mib=0,
            rate_limit="",
            model=model,
            part_pixels=FRAMES // PARTS * SIZE**2,
        )
        server = Deployment(network, folder, settings)
        stack.callback(server.stop)
        server.start(names)
        yield server
