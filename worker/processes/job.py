"""The function that RQ calls: load, denoise, save.

Runs in a work horse, a process forked from a worker that holds the default classifier already.
"""

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any, get_args

import numpy as np
import structlog
from numpy.typing import NDArray
from redis import Redis
from rq.timeouts import JobTimeoutException
from sqlalchemy.exc import SQLAlchemyError

from reucid_core import ReucidError
from reucid_core.params import ScanNoise
from reucid_core.report import library_versions
from reucid_core.threads import limited
from worker.contract import Failure, JobRecord, Stage
from worker.denoising.artifacts import (
    ARTIFACTS,
    COVERAGE,
    EIGENPATCHES,
    REPORT,
    RESULT,
    names,
)
from worker.denoising.model_choice import ModelChoice
from worker.denoising.model_files import Models
from worker.denoising.model_loading import chosen_classifier
from worker.denoising.params import JobParams
from worker.denoising.reducing import reduce_result
from worker.denoising.revising import Source, revise_signal
from worker.denoising.run import Step, denoise_signal
from worker.faultpoints import reached
from worker.ledger.attempt import Attempt
from worker.ledger.database import Database, ledger_may_be_away
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs
from worker.ledger.refusals import ExpiredError, NotFoundError
from worker.processes.material import Material
from worker.processes.part import Maker, Overtaken
from worker.processes.patience import patiently
from worker.processes.spreading import Spread, ranges_of
from worker.settings import DAY, Settings
from worker.store import DamagedError, Store, StoreAwayError, interim_name, sha256_of
from worker.store.opening import open_store
from worker.wake import tell_readers, wake

log = structlog.get_logger()


class RevisionError(Exception):
    """A result cannot be revised, for a reason with a stable code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@cache
def ledger_at(url: str) -> Database:
    """The ledger, with its statements compiled once; a worker opens it before it forks.

    No connection stays open, so that none crosses the fork.
    """
    database = Database(url)
    Attempt(database, "", 0, worker="").rehearse()
    database.close()
    return database


@cache
def store_at(settings: Settings) -> Store:
    """The store; a worker opens it before it forks, and asks nothing of it until then."""
    return open_store(settings)


def prepare(settings: Settings) -> None:
    """Do what every job needs and none has to do again; to be called before the fork.

    Classifiers other than the default are loaded by the horse whose job names them, in the time
    that reading a small file takes.
    """
    for scan_noise in get_args(ScanNoise):
        chosen_classifier(Models.of(settings), ModelChoice(), scan_noise)
    ledger_at(settings.ledger_url)
    store_at(settings)
    library_versions()
    with limited(settings.threads):
        pass


def get_ready() -> None:
    """Do ahead of the job what every horse does first; to be called after the fork.

    A connection to the ledger is opened, and memory that is shared with the worker touched, which
    copies it. Where the ledger is away, the job will find out.
    """
    database = ledger_at(Settings().ledger_url)
    with ledger_may_be_away():
        Attempt(database, "", 0, worker="").claim(0.0)
        for of in (Jobs(database), Images(database)):
            with suppress(NotFoundError):
                of.get("")


def run(job_id: str, attempt: int) -> None:
    """Make one attempt at a job, if it is still to be made."""
    settings = Settings()
    database = ledger_at(settings.ledger_url)
    this = Attempt(database, job_id, attempt, worker=os.environ["RQ_WORKER_ID"])
    with (
        Redis.from_url(settings.redis_url or "", socket_timeout=0.5) as redis,
        structlog.contextvars.bound_contextvars(job_id=job_id, attempt=attempt),
    ):
        reached("job.forked")
        job = this.claim(settings.lease_s)
        reached("job.claimed")
        if job is None:
            log.info("not_claimed")
            return
        structlog.contextvars.bind_contextvars(request_id=job.request.request_id)
        _Work(this, job, settings, store_at(settings), redis).do()
    database.close()


class _Work:
    """A claimed attempt and everything it needs."""

    def __init__(
        self,
        attempt: Attempt,
        job: JobRecord,
        settings: Settings,
        store: Store,
        redis: Redis,
    ) -> None:
        self._attempt = attempt
        self._job = job
        self._settings = settings
        self._store = store
        self._redis = redis
        self._spread: Spread | None = None

    def do(self) -> None:
        """Bring the job to an end, whatever happens."""
        try:
            report, noisy = self._denoise()
            self._save(report, noisy)
            if self._spread is not None:
                self._remove(self._spread)
        except Overtaken:
            log.info("overtaken")
        except JobTimeoutException:
            self._fail("timeout", f"the job took more than {self._settings.job_timeout_s} s")
            raise  # RQ's own book-keeping
        except (ReucidError, RevisionError) as error:
            self._fail(error.code, str(error))
        except DamagedError as error:
            log.exception("job_failed")
            self._fail("damaged_image", str(error))
        except OSError as error:
            self._end_by(error)
        except SQLAlchemyError:
            # Not the job's fault: its worker returns it to the queue when this process has ended.
            log.exception("ledger_away")
            raise
        except MemoryError:
            self._fail("out_of_memory", "the worker ran out of memory")
        except Exception:
            log.exception("job_failed")
            self._fail("internal", "a fault of the server; it was logged")
        self._store.leave(self._job.id, self._attempt.number)
        self._tell_readers()

    def _denoise(self) -> tuple[dict[str, Any], NDArray[Any]]:
        """Write all artifacts; returns the report, and what was denoised."""
        material = Material.of(self._job, self._attempt.database, self._settings, self._store)
        ranges = ranges_of(material, self._settings.part_pixels)
        self._enter(Stage.DENOISING)
        self._wake()  # its place in the queue is free
        report = self._by_parts(material, ranges) if len(ranges) > 1 else self._at_once(material)
        reached("job.written")
        return report, material.chosen.pixels_of(material.signal)

    def _by_parts(self, material: Material, ranges: list[tuple[int, int]]) -> dict[str, Any]:
        """With the help of workers that have nothing else to do."""
        maker = Maker(material, self._store, self._wake)
        show = partial(self._publish, note=self._attempt.shown)
        lease_s = self._settings.lease_s
        self._spread = Spread(self._attempt, material, self._store, maker, lease_s, show)
        return self._spread.denoise(ranges)

    def _at_once(self, material: Material) -> dict[str, Any]:
        folder = self._store.attempt(self._job.id, self._attempt.number)
        signal, chosen, params = material.signal, material.chosen, material.params
        if material.judge is None:
            with self._revised(params) as source:
                return revise_signal(
                    signal, chosen, params, folder, source=source, on_step=self._publish
                )
        return denoise_signal(
            signal,
            chosen,
            params,
            folder,
            classify=material.judge,
            on_step=self._publish,
            goes_on=lambda: not self._attempt.finish_requested(),
        )

    @contextmanager
    def _revised(self, params: JobParams) -> Iterator[Source]:
        """The result that is revised, its bytes checked against the ledger."""
        of = params.revision and params.revision.of
        try:
            job = Jobs(self._attempt.database).get(of or "", owner=self._job.request.owner)
            held = {each.name: each.sha256 for each in job.artifacts if each.name in ARTIFACTS}
            paths = {name: patiently(partial(self._store.artifact, job, name)) for name in held}
            if any(sha256_of(path) != held[name] for name, path in paths.items()):
                raise RevisionError("damaged_artifact", f"a file of job {of} is damaged")
            report = json.loads(paths[REPORT].read_bytes())
            result = np.load(paths[RESULT], mmap_mode="r")
            coverage = np.load(paths[COVERAGE], mmap_mode="r") if COVERAGE in paths else None
            eigenpatches = np.load(paths[EIGENPATCHES])
        except (NotFoundError, ExpiredError, FileNotFoundError, KeyError) as error:
            raise RevisionError(
                "source_gone", f"the result of job {of}, which was to be revised, is gone"
            ) from error
        with eigenpatches:
            yield Source(report, result, eigenpatches, coverage)

    def _publish(
        self, step: Step, note: Callable[[int, int, Mapping[str, Any]], bool] | None = None
    ) -> None:
        """Publish an interim result; `note` writes it down, by default with the progress."""
        if step.what != "frames" and step.n == step.of and (step.what == "scales" or step.n == 1):
            return  # the result itself follows at once
        job_id, number, name = self._job.id, self._attempt.number, interim_name(step.n)
        np.save(self._store.attempt(job_id, number) / name, step.image)
        made = patiently(lambda: self._store.publish(job_id, number, name))
        told: dict[str, Any] = {"sha256": made.sha256, "size": made.size, "kept": step.kept}
        if step.what == "frames":
            told["frame"] = step.n - 1
        if not (note or self._attempt.stack_done)(step.n, step.of, told):
            raise Overtaken
        self._tell_readers()

    def _save(self, report: dict[str, Any], noisy: NDArray[Any]) -> None:
        self._enter(Stage.SAVING, report["warnings"])
        job_id, number = self._job.id, self._attempt.number
        levels = reduce_result(self._store.attempt(job_id, number), noisy)
        made = patiently(lambda: self._store.seal(job_id, number, (*names(report), *levels)))
        reached("job.sealed")
        expires_in_s = self._settings.result_days * DAY
        if not self._attempt.commit(made, expires_in_s=expires_in_s):
            raise Overtaken
        reached("job.committed")
        log.info("succeeded", seconds=round(sum(report["seconds"].values()), 3))

    def _remove(self, spread: Spread) -> None:
        """What the result was made of; what cannot be removed now is swept later."""
        try:
            spread.remove_parts()
        except (OSError, SQLAlchemyError) as error:
            log.warning("parts_left", reason=str(error)[:200])

    def _enter(self, stage: Stage, warnings: Sequence[str] = ()) -> None:
        if not self._attempt.enter(stage, warnings):
            raise Overtaken
        self._tell_readers()

    def _wake(self) -> None:
        wake(self._redis, self._job.id)

    def _tell_readers(self) -> None:
        tell_readers(self._redis, self._job.id)

    def _end_by(self, error: OSError) -> None:
        """A job whose store is away goes back to the queue; what else fails will fail again."""
        if isinstance(error, StoreAwayError):
            log.warning("store_away", reason=str(error))
            self._attempt.hand_back("the store did not answer")
            return
        log.error("job_failed", exc_info=error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            self._fail("insufficient_storage", "the server's disk is full")
        else:
            self._fail("internal", "a fault of the server; it was logged")

    def _fail(self, code: str, detail: str) -> None:
        self._attempt.fail(Failure(code, detail))
