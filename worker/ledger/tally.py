"""How long jobs wait and take, counted up from the events of the ledger.

Whoever asks for the figures counts first what has happened since; a row says how far that is. Any
number of processes may do so: each has the ledger to itself while it counts, so that no event with
a smaller number comes later. The counts outlive the jobs they are of.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from worker.contract import EventType
from worker.ledger.database import Database
from worker.ledger.tables import cursors, durations, events, jobs

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)  # s
AT_ONCE = 5000  # events in one transaction
QUEUED, STARTED, STAGE = EventType.QUEUED, EventType.STARTED, EventType.STAGE
ENDS = tuple(type_ for type_ in EventType if type_.terminal)
MARKS = (QUEUED, STARTED, STAGE, *ENDS)  # events at which something begins or ends


@dataclass
class Histogram:
    """Durations of one kind and label."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def cumulative(self) -> list[tuple[str, float]]:
        """As Prometheus wants it: how many took at most so long."""
        bounds = [*(str(float(bound)) for bound in BOUNDS), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


Histograms = dict[tuple[str, str], Histogram]  # by kind (wait, stage, job) and label


def tally(database: Database) -> Histograms:
    """All durations up to now."""
    while _count_up(database):
        pass
    with database.reading() as connection:
        rows = connection.execute(select(durations)).all()
    histograms: Histograms = defaultdict(Histogram)
    for row in rows:
        histogram = histograms[row.kind, row.label]
        histogram.counts[row.bucket] += row.count
        histogram.total += row.total
    return histograms


def _count_up(database: Database) -> bool:
    """Count the next events; whether there may be more."""
    place = cursors.c.name == "durations"
    with database.writing() as connection:
        after = connection.execute(select(cursors.c.event_id).where(place)).scalar_one()
        rows = _marks(connection, after)
        if not rows:
            return False
        for row in rows:
            for kind, label, seconds in _measured(row):
                _add(connection, kind, label, seconds)
        connection.execute(update(cursors).where(place).values(event_id=rows[-1].id))
    return len(rows) == AT_ONCE


def _marks(connection: Connection, after: int) -> list[Row[Any]]:
    """The next events, each with the one before it in its job's history."""
    before = events.alias("before")
    earlier = events.alias("earlier")
    previous = (
        select(func.max(earlier.c.id))
        .where(
            earlier.c.job_id == events.c.job_id,
            earlier.c.id < events.c.id,
            earlier.c.type.in_(MARKS),
        )
        .scalar_subquery()
    )
    query = (
        select(
            *(events.c.id, events.c.type, events.c.created_at),
            before.c.type.label("before"),
            before.c.data.label("before_data"),
            before.c.created_at.label("since"),
            *(jobs.c.priority, jobs.c.created_at.label("submitted_at")),
        )
        .join(jobs, jobs.c.id == events.c.job_id)
        .outerjoin(before, before.c.id == previous)
        .where(events.c.id > after, events.c.type.in_(MARKS))
        .order_by(events.c.id)
        .limit(AT_ONCE)
    )
    return list(connection.execute(query))


def _measured(row: Row[Any]) -> Iterator[tuple[str, str, float]]:
    """What has ended with an event: its kind, label and seconds."""
    if row.type == STARTED and row.before == QUEUED:
        yield "wait", row.priority, max(0.0, row.created_at - row.since)
    if row.before == STAGE and row.type in (STAGE, *ENDS):
        yield "stage", row.before_data["stage"], max(0.0, row.created_at - row.since)
    if row.type in ENDS:
        yield "job", row.type, max(0.0, row.created_at - row.submitted_at)


def _add(connection: Connection, kind: str, label: str, seconds: float) -> None:
    bucket = bisect_left(BOUNDS, seconds)
    here = {"kind": kind, "label": label, "bucket": bucket}
    changed = connection.execute(
        update(durations)
        .where(*(durations.c[name] == value for name, value in here.items()))
        .values(count=durations.c.count + 1, total=durations.c.total + seconds)
    )
    if not changed.rowcount:
        connection.execute(insert(durations).values(**here, count=1, total=seconds))
