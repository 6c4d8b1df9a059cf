"""The function that RQ calls: load, denoise, save.

Runs in a work horse, a process forked from a worker that holds the classifier already.
"""

import json
import os
from collections.abc import Callable
from functools import cache

import numpy as np
import structlog
import torch
from redis import Redis
from rq.timeouts import JobTimeoutException

from reucid_core import DenoiseParams, Progress, Result, ReucidError, denoise
from reucid_core.classifier import Classifier, load_classifier
from worker.attempt import Attempt
from worker.contract import Failure, JobRecord, Stage
from worker.ledger import Ledger
from worker.settings import Settings
from worker.store import Store, sha256_of, write_atomic
from worker.wake import wake

ARTIFACTS = ("result.npy", "coverage.npy", "report.json", "eigenpatches.npz")
SECONDS_PER_DAY = 86400.0

log = structlog.get_logger()


class Overtaken(Exception):  # noqa: N818  (not an error: somebody else has the job now)
    """The job was canceled or given to another worker while this one was at it."""


@cache
def classifier() -> Classifier:
    """The classifier, loaded once; a worker does so before it forks.

    One thread: a torch whose thread pool was started before a fork hangs in the child.
    """
    torch.set_num_threads(1)
    return load_classifier(Settings().model)


def run(job_id: str, attempt: int) -> None:
    """Make one attempt at a job, if it is still to be made."""
    settings = Settings()
    ledger = Ledger(settings.ledger_url)
    this = Attempt(ledger, job_id, attempt, worker=os.environ["RQ_WORKER_ID"])
    with (
        Redis.from_url(settings.redis_url or "", socket_timeout=0.5) as redis,
        structlog.contextvars.bound_contextvars(job_id=job_id, attempt=attempt),
    ):
        job = this.claim(settings.lease_s)
        if job is None:
            log.info("not_claimed")
            return
        structlog.contextvars.bind_contextvars(request_id=job.request.request_id)
        _Work(this, job, settings, Store(settings.data_dir), lambda: wake(redis, job_id)).do()
    ledger.close()


class _Work:
    """A claimed attempt and everything it needs."""

    def __init__(
        self,
        attempt: Attempt,
        job: JobRecord,
        settings: Settings,
        store: Store,
        tell: Callable[[], None],
    ) -> None:
        self._attempt = attempt
        self._job = job
        self._settings = settings
        self._store = store
        self._tell = tell

    def do(self) -> None:
        """Bring the job to an end, whatever happens."""
        try:
            self._save(self._denoise())
        except Overtaken:
            log.info("overtaken")
        except JobTimeoutException:
            self._fail("timeout", f"the job took more than {self._settings.job_timeout_s} s")
            raise  # RQ's own book-keeping
        except ReucidError as error:
            self._fail(error.code, str(error))
        except MemoryError:
            self._fail("out_of_memory", "the worker ran out of memory")
        except Exception:
            log.exception("job_failed")
            self._fail("internal", "a fault of the server; it was logged")
        self._tell()

    def _denoise(self) -> Result:
        self._enter(Stage.LOADING)
        params = DenoiseParams(
            **self._job.request.params,
            memory_budget=self._settings.memory_budget,
            threads=self._settings.threads,
        )
        pixels = np.load(self._store.pixels(self._job.request.image_id), mmap_mode="r")
        self._enter(Stage.DENOISING)
        return denoise(pixels, params, classify=classifier(), on_stack=self._on_stack)

    def _on_stack(self, progress: Progress) -> bool:
        """Publish the interim result; False when the client wants no further stack."""
        path = self._store.interim(self._job.id, self._attempt.number, progress.stack)
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomic(path) as temporary, temporary.open("wb") as file:
            np.save(file, progress.image)
        data = {"sha256": sha256_of(path), "kept": progress.report.n_kept}
        if not self._attempt.stack_done(progress.stack, progress.stacks, data):
            raise Overtaken
        self._tell()
        return not self._attempt.finish_requested()

    def _save(self, result: Result) -> None:
        self._enter(Stage.SAVING)
        for warning in result.report.warnings:
            self._attempt.warn(warning)
        folder = self._store.attempt(self._job.id, self._attempt.number)
        np.save(folder / "result.npy", result.image)
        np.save(folder / "coverage.npy", result.coverage)
        report = json.dumps(result.report.to_dict(), indent=1, allow_nan=False)
        (folder / "report.json").write_text(report)
        stacks = {f"stack{n}": each for n, each in enumerate(result.eigenpatches, start=1)}
        np.savez(folder / "eigenpatches.npz", allow_pickle=False, **stacks)
        made = self._store.seal(self._job.id, self._attempt.number, ARTIFACTS)
        expires_in_s = self._settings.result_days * SECONDS_PER_DAY
        if not self._attempt.commit(made, expires_in_s=expires_in_s):
            raise Overtaken
        log.info("succeeded", seconds=round(sum(result.report.seconds.values()), 3))

    def _enter(self, stage: Stage) -> None:
        if not self._attempt.enter(stage):
            raise Overtaken
        self._tell()

    def _fail(self, code: str, detail: str) -> None:
        self._attempt.fail(Failure(code, detail))
