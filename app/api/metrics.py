"""Figures for Prometheus.

What jobs do is read from the ledger when it is asked for, so that every API process says the same.
What came of live frames is counted where they are, in the queue's server. What HTTP does is counted
by each process, and labelled with it.
"""

import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.api.services import Services
from app.http.access import registry
from worker.contract import WORKER_SILENCE, Priority, State
from worker.ledger.parts import Parts
from worker.ledger.tally import Histograms, tally
from worker.ledger.workers import Workers
from worker.live.transport import Totals

KINDS = {
    "wait": ("reucid_job_wait_seconds", "From entering the queue to being started.", "priority"),
    "stage": ("reucid_job_stage_seconds", "What a running job spends its time on.", "stage"),
    "job": ("reucid_job_seconds", "From submission to the end.", "state"),
}


def exposition(services: Services) -> bytes:
    """Everything, in Prometheus's text format."""
    jobs = CollectorRegistry()
    jobs.register(_Jobs(services))
    return generate_latest(registry) + generate_latest(jobs)


class _Jobs(Collector):
    """Ledger, queue and store as they are now."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield _gauge("reucid_store_free_bytes", "Free space.", self._services.store.free())
        yield from self._of_the_process()
        answers = self._services.queue_answers()
        yield _gauge("reucid_queue_up", "Whether the queue answers.", answers)
        if answers:
            yield from self._of_live_frames()
        try:
            figures = list(self._of_the_ledger())
        except SQLAlchemyError:
            figures = []
        yield _gauge("reucid_ledger_up", "Whether the ledger can be read.", bool(figures))
        yield from figures

    def _of_the_process(self) -> Iterator[Metric]:
        """What is shared by all requests of this API process, and how much of it is taken."""
        lanes, easel = self._services.lanes, self._services.easel.turns
        decoding = self._services.decoding
        used, size = self._services.database.connections()
        rows = {
            "database": (size, used, 0),
            "decoding": (decoding.places, decoding.taken, decoding.waiting),
            "drawing": (easel.places, easel.taken, easel.waiting),
        }
        for name, turns in lanes.all().items():
            rows[name] = (turns.places, turns.taken, turns.waiting)
        figures = ("places", "taken", "waiting")
        texts = ("Places for", "Of these taken", "Waiting for a place")
        for n, (figure, text) in enumerate(zip(figures, texts, strict=True)):
            family = GaugeMetricFamily(f"reucid_{figure}", f"{text}.", labels=["process", "of"])
            for name, row in rows.items():
                family.add_metric([str(os.getpid()), name], row[n])
            yield family
        refused = CounterMetricFamily(
            "reucid_refused_at_the_door",
            "Requests that were refused before anything was done for them.",
            labels=["process", "code"],
        )
        for code, count in lanes.refused.items():
            refused.add_metric([str(os.getpid()), code], count)
        yield refused

    def _of_live_frames(self) -> Iterator[Metric]:
        """What the queue's server has counted, of all sessions."""
        try:
            totals = Totals.of(self._services.redis)
        except (RedisError, OSError):
            return
        frames = CounterMetricFamily(
            "reucid_live_frames", "Live frames, and what came of them.", labels=["outcome"]
        )
        for outcome, number in totals.frames.items():
            frames.add_metric([outcome], number)
        yield frames
        text = "Of results, since the last row in them was received."
        ages = HistogramMetricFamily("reucid_live_age_seconds", text)
        ages.add_metric([], list(totals.ages), totals.age_sum)
        yield ages

    def _of_the_ledger(self) -> Iterator[Metric]:
        database, jobs = self._services.database, self._services.jobs
        counts = jobs.counts()
        by_state = GaugeMetricFamily("reucid_jobs", "Jobs in the ledger.", labels=["state"])
        for state in State:
            number = sum(n for (found, _), n in counts.items() if found == state)
            by_state.add_metric([state], number)
        yield by_state
        depth = GaugeMetricFamily("reucid_queue_depth", "Queued jobs.", labels=["priority"])
        for priority in Priority:
            depth.add_metric([priority], counts.get((State.QUEUED, priority), 0))
        yield depth
        yield _gauge(
            "reucid_longest_wait_seconds",
            "Of the jobs queued now.",
            jobs.longest_wait(),
        )
        sessions = self._services.sessions
        yield _gauge("reucid_live_sessions", "Live sessions that are open.", sessions.open_now())
        alive = Workers(database).alive(within_s=WORKER_SILENCE)
        yield _gauge("reucid_workers_alive", f"Seen in the last {WORKER_SILENCE:g} s.", alive)
        unfinished = sum(n for (found, _), n in counts.items() if not State(found).terminal)
        text = (
            "Queued and running jobs, and parts of stacks that others than their job's worker do "
            "or may do, for each worker that is alive, or for one if none is."
        )
        wanted = unfinished + Parts(database).for_others()
        yield _gauge("reucid_load", text, wanted / max(1, alive))
        yield from _histograms(tally(database))


def _histograms(histograms: Histograms) -> Iterator[Metric]:
    for kind, (name, documentation, label) in KINDS.items():
        family = HistogramMetricFamily(name, documentation, labels=[label])
        for (found, value), histogram in sorted(histograms.items()):
            if found == kind:
                family.add_metric([value], histogram.cumulative(), histogram.total)
        yield family


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)
