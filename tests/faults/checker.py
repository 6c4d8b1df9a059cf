"""Compares what clients have noted with ledger and store: every line is a broken promise."""

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import select

from tests.faults.history import TERMINAL, History, Submission
from worker.contract import Event, EventType, JobRecord, State
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.ledger.refusals import NotFoundError
from worker.ledger.tables import artifacts, jobs
from worker.store import Store, sha256_of

OWNER = "local"


def check(history: History, database: Database, store: Store) -> list[str]:
    """All broken promises."""
    found = [f"answer: {complaint}" for complaint in history.complaints]
    found += _keys(history, database)
    found += _stale_artifacts(database)
    for wanted in history.accepted:
        found += [f"job {min(wanted.ids)}: {fault}" for fault in _one(wanted, database, store)]
    return found


def _keys(history: History, database: Database) -> Iterator[str]:
    """One key, one job; and no job that nobody wanted."""
    with database.reading() as connection:
        rows = connection.execute(select(jobs.c.id, jobs.c.idempotency_key)).all()
    entered = Counter(row.idempotency_key for row in rows)
    wanted = {each.key: each for each in history.submissions}
    for key, count in entered.items():
        if count > 1:
            yield f"key {key}: {count} jobs"
        if key not in wanted:
            yield f"key {key}: a job nobody submitted"
    for row in rows:
        known = wanted.get(row.idempotency_key)
        if known and known.ids - {row.id}:
            yield f"key {row.idempotency_key}: answers named {known.ids}, the ledger has {row.id}"


def _stale_artifacts(database: Database) -> Iterator[str]:
    """Only what succeeded has files; the ledger itself looks for no others."""
    unsuccessful = select(jobs.c.id, jobs.c.state, artifacts.c.name).where(
        jobs.c.id == artifacts.c.job_id, jobs.c.state != State.SUCCEEDED
    )
    with database.reading() as connection:
        for row in connection.execute(unsuccessful):
            yield f"job {row.id}: it {row.state} and has artifacts: {row.name}"


def _one(wanted: Submission, database: Database, store: Store) -> Iterator[str]:
    if len(wanted.ids) != 1:
        yield f"one key was answered with {len(wanted.ids)} jobs"
        return
    try:
        job = Jobs(database).get(wanted.job_id, owner=OWNER)
    except NotFoundError:
        yield "accepted, and not in the ledger"
        return
    if not job.state.terminal:
        yield f"accepted, and still {job.state}"
        return
    events = Jobs(database).events(job.id)
    yield from _told(wanted, job, events)
    yield from _ended_once(job, events)
    yield from _attempts(job, events)
    yield from _artifacts(wanted, job, store)


def _told(wanted: Submission, job: JobRecord, events: list[Event]) -> Iterator[str]:
    """What clients were told agrees with what is so."""
    ends = [state for state in wanted.states if state in TERMINAL]
    if any(end != job.state for end in ends):
        yield f"clients were told {ends}, the ledger says {job.state}"
    first = next((n for n, state in enumerate(wanted.states) if state in TERMINAL), None)
    if first is not None and any(state not in TERMINAL for state in wanted.states[first:]):
        yield f"it left a terminal state: {wanted.states}"
    if any(answer not in TERMINAL for answer in wanted.cancel_answers):
        yield f"cancel was answered with {wanted.cancel_answers}"
    known = [(event.id, str(event.type)) for event in events]
    seen = wanted.events
    if seen != known[: len(seen)]:
        yield f"the stream had a gap or something twice: {seen} of {known}"
    if wanted.read_to_the_end and seen != known:
        yield f"the stream ended early: {seen} of {known}"
    if wanted.results and job.state is not State.SUCCEEDED:
        yield f"a result was served, the job {job.state}"
    if any(digest != wanted.case.sha256 for digest in wanted.results):
        yield "a wrong result was served"


def _ended_once(job: JobRecord, events: list[Event]) -> Iterator[str]:
    ends = [str(event.type) for event in events if event.type.terminal]
    if ends != [job.state]:
        yield f"it ended {ends}, the ledger says {job.state}"
    if events and not events[-1].type.terminal:
        yield f"something happened after its end: {events[-1].type}"


def _attempts(job: JobRecord, events: list[Event]) -> Iterator[str]:
    """Every attempt starts once at most, its interim results are counted without a gap."""
    if [e.attempt for e in events] != sorted(e.attempt for e in events):
        yield "an attempt wrote after the next one had begun"
    starts = Counter(event.attempt for event in events if event.type is EventType.STARTED)
    if any(count > 1 for count in starts.values()):
        yield f"an attempt was started twice: {dict(starts)}"
    for attempt in starts:
        interims = [
            event.data["n"]
            for event in events
            if event.type is EventType.INTERIM and event.attempt == attempt
        ]
        if interims != list(range(1, len(interims) + 1)):
            yield f"attempt {attempt} left the interim results {interims}"
    times = [event.created_at for event in events]
    if times != sorted(times):
        yield f"its history goes back in time: {times}"
    if job.state is State.SUCCEEDED and job.attempt not in starts:
        yield f"attempt {job.attempt} succeeded and was never started"


def _artifacts(wanted: Submission, job: JobRecord, store: Store) -> Iterator[str]:
    if job.state is not State.SUCCEEDED:
        return
    for held in job.artifacts:
        path = store.artifact(job, held.name)
        if not path.exists():
            yield f"{held.name} is missing"
        elif (sha256_of(path), path.stat().st_size) != (held.sha256, held.size):
            yield f"{held.name} is not what the ledger holds"
    results = [held.sha256 for held in job.artifacts if held.name == "result.npy"]
    if results != [wanted.case.sha256]:
        yield "its result is not the right one"
