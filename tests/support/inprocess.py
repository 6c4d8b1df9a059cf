"""The API in this process, on a real ledger, store and socket; jobs are run when a test says so."""

import io
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI

from app.api.main import create_app
from app.api.services import Services
from app.http.connections import configured
from worker.contract import Scope, State
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.ledger.keys import Keyring
from worker.settings import Settings
from worker.store import Store
from worker.store.opening import open_store

NO_REDIS = "redis://127.0.0.1:9"


def npy(seed: int = 0, shape: tuple[int, ...] = (32, 40)) -> bytes:
    """A noisy image, or a stack, as a file."""
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(seed).poisson(9, shape).astype(np.uint16))
    return buffer.getvalue()


@dataclass
class Api:
    """A running API and what is behind it."""

    url: str
    settings: Settings
    database: Database
    store: Store
    app: FastAPI

    @property
    def services(self) -> Services:
        """The open parts of the API."""
        services: Services = self.app.state.services
        return services

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.database)

    def key(self, owner: str, *scopes: Scope, **options: Any) -> str:
        return Keyring(self.database).create(owner=owner, scopes=scopes, **options)[1]

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=f"{self.url}/v1", headers=headers, timeout=30)

    def work(self, job_id: str, attempt: int = 1) -> None:
        """Make an attempt at a job, as a work horse would."""
        from worker.processes.job import run

        with patch.dict(
            os.environ, self.settings.as_environment() | {"RQ_WORKER_ID": "in-process"}
        ):
            run(job_id, attempt)


@contextmanager
def running(data_dir: Path, **stated: Any) -> Iterator[Api]:
    """Serve on a free port while the context lasts."""
    settings = Settings(data_dir=data_dir, **{"redis_url": NO_REDIS} | stated)
    app = create_app(settings)
    config = configured(app, settings, port=0, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    database = Database.open(settings.ledger_url)
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Api(f"http://127.0.0.1:{port}", settings, database, open_store(settings), app)
    finally:
        server.should_exit = True
        thread.join(20)
        database.close()


@contextmanager
def working(api: Api) -> Iterator[None]:
    """Bring every job to its end, so that no stream of events lasts."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            for job in api.jobs.page(state=State.QUEUED, limit=5):
                api.work(job.id)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
