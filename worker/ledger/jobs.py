"""The truth about jobs, as clients see and change it.

Uploads are in `worker.ledger.images`, what a running attempt writes is in `worker.ledger.attempt`,
what the dispatcher does in `worker.ledger.backlog`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import (
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from worker.contract import (
    Artifact,
    Event,
    EventType,
    Failure,
    JobRecord,
    JobRequest,
    Priority,
    Room,
    Stage,
    State,
)
from worker.ledger.database import Database
from worker.ledger.fairness import next_turn, positions
from worker.ledger.outbox import tell_of_job
from worker.ledger.refusals import (
    ConflictError,
    ExpiredError,
    IdempotencyMismatchError,
    LedgerError,
    NotFoundError,
    QueueFullError,
    TooManyLabelsError,
    missing,
)
from worker.ledger.tables import Now, artifacts, events, images, jobs, labels, parts

Item = TypeVar("Item")

ACTIVE = (State.QUEUED, State.RUNNING)
MOST_LABELS = 32  # of a job


class Jobs:
    """All jobs of a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(
        self,
        request: JobRequest,
        *,
        idempotency_key: str | None = None,
        fingerprint: str | None = None,
        room: Room | None = None,
    ) -> tuple[JobRecord, bool]:
        """Enter a job; the first one and False if its key was used for the same before."""
        entered, new = self.submit_all(
            [request], idempotency_key=idempotency_key, fingerprint=fingerprint, room=room
        )
        return entered[0], new

    def submit_all(
        self,
        requests: Sequence[JobRequest],
        *,
        idempotency_key: str | None = None,
        fingerprint: str | None = None,
        room: Room | None = None,
    ) -> tuple[list[JobRecord], bool]:
        """Enter all of an owner's jobs or none; what they are, and whether they are new.

        The first one holds the key: if that was used for the same before, it alone is returned.
        """
        owner = requests[0].owner
        if idempotency_key is None:  # nothing will ever be compared with it
            fingerprint = None
        held = {"idempotency_key": idempotency_key, "fingerprint": fingerprint}
        try:
            with self._database.writing() as connection:
                entered = [_enter(connection, requests[0], **held)]
                entered += [_enter(connection, request) for request in requests[1:]]
                if room is not None:  # now, so that a repeated submission is not refused for it
                    _check_room(connection, owner, room)
        except (IntegrityError, LedgerError) as error:
            # Whatever the reason: of a repetition, an image may have expired since.
            known = self._by_idempotency_key(owner, idempotency_key)
            if known is not None:
                return [self._repeated(known, fingerprint)], False
            if isinstance(error, LedgerError):
                raise
            missing_ones = " or ".join(sorted({request.image_id for request in requests}))
            raise NotFoundError(f"no image {missing_ones}") from None
        return entered, True

    def get(self, job_id: str, *, owner: str | None = None) -> JobRecord:
        """A job, of this owner if one is given."""
        with self._database.reading() as connection:
            row = connection.execute(_JOB, {"id": job_id}).one_or_none()
            if row is None or owner not in (None, row.owner):
                raise missing(connection, "job", job_id, owner)
            job = _job(row)
            if job.state is not State.SUCCEEDED:
                return job
            held = connection.execute(_ARTIFACTS, {"id": job_id}).all()
        return replace(job, artifacts=tuple(Artifact(a.name, a.sha256, a.size) for a in held))

    def page(
        self,
        *,
        owner: str | None = None,
        state: State | None = None,
        external_id: str | None = None,
        sample_id: str | None = None,
        batch: str | None = None,
        having: Sequence[tuple[str, str]] = (),
        name: str | None = None,
        created_after: float | None = None,
        created_before: float | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[JobRecord]:
        """Jobs, of this owner if one is given, newest first, without artifacts and metadata.

        `having` are names and values of labels, all of which a job has; `name` is part of the
        input's, in any case; times are seconds since the epoch, and `before` is the serial of the
        last job already seen.
        """
        columns: list[Any] = [each for each in jobs.c if each is not jobs.c.metadata]
        query: Select[Any] = select(*columns, _IMAGE_NAME).join(
            images, images.c.id == jobs.c.image_id
        )
        equal = {
            jobs.c.owner: owner,
            jobs.c.state: state,
            jobs.c.external_id: external_id,
            jobs.c.sample_id: sample_id,
            jobs.c.batch: batch,
        }
        query = query.where(*(column == x for column, x in equal.items() if x is not None))
        if name is not None:
            query = query.where(images.c.name.icontains(name, autoescape=True))
        if created_after is not None:
            query = query.where(jobs.c.created_at >= created_after)
        if created_before is not None:
            query = query.where(jobs.c.created_at < created_before)
        for label, value in having:
            here = select(labels.c.job_id).where(labels.c.name == label, labels.c.value == value)
            query = query.where(jobs.c.id.in_(here))
        if before is not None:
            query = query.where(jobs.c.serial < before)
        query = query.order_by(jobs.c.serial.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_job(row) for row in connection.execute(query)]

    def check_room(self, owner: str, room: Room, more: int = 1) -> None:
        """Refuse so many more jobs than may wait, before their files are received or decoded."""
        with self._database.reading() as connection:
            _check_room(connection, owner, room, more=more)

    def used(self, owner: str) -> int:
        """Bytes that the files of an owner's images and jobs take."""
        with self._database.reading() as connection:
            return used(connection, owner)

    def of_owner(self, owner: str) -> tuple[list[str], list[str]]:
        """The folders of an owner's images and the ids of the jobs whose files are there."""
        folder = images.c.info["folder"].as_string()
        columns = func.coalesce(func.nullif(folder, ""), images.c.id), jobs.c.id
        with self._database.reading() as connection:
            found = [
                connection.execute(
                    select(column).where(table.c.owner == owner, table.c.purged.is_(False))
                ).scalars()
                for column, table in zip(columns, (images, jobs), strict=True)
            ]
            return list(found[0]), list(found[1])

    def queue_position(self, job_id: str) -> int | None:
        """How many queued jobs are dispatched before this one; None if it is not queued."""
        return self.queue_positions([job_id]).get(job_id)

    def queue_positions(self, job_ids: Collection[str]) -> dict[str, int]:
        """The same of several; those that are not queued are left out."""
        with self._database.reading() as connection:
            return positions(connection, job_ids)

    def cancel(self, job_id: str, *, owner: str) -> JobRecord:
        """End a queued or running job without a result; its running attempt is fenced off."""
        with self._database.writing() as connection:
            changed = connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.owner == owner, jobs.c.state.in_(ACTIVE))
                .values(state=State.CANCELED, stage=None, finished_at=Now())
                .returning(jobs.c.attempt)
            ).scalar_one_or_none()
            if changed is not None:
                write_event(connection, job_id, changed, EventType.CANCELED)
        return self.get(job_id, owner=owner)

    def describe(
        self,
        job_id: str,
        *,
        owner: str,
        changes: Mapping[str, str | None],
        named: Mapping[str, str | None],
    ) -> JobRecord:
        """Change what a client calls a job.

        Parameters
        ----------
        job_id, owner : str
        changes : mapping
            New `external_id`, `sample_id` or `batch`; None for no longer any.
        named : mapping
            New values of labels, by name; None removes a label.
        """
        with self._database.writing() as connection:
            here = (jobs.c.id == job_id, jobs.c.owner == owner)
            row = connection.execute(select(jobs.c.labels).where(*here)).one_or_none()
            if row is None:
                raise missing(connection, "job", job_id, owner)
            kept = {n: v for n, v in {**row.labels, **named}.items() if v is not None}
            if len(kept) > MOST_LABELS:
                raise TooManyLabelsError(len(kept), MOST_LABELS)
            connection.execute(update(jobs).where(*here).values(**changes, labels=kept))
            connection.execute(
                delete(labels).where(labels.c.job_id == job_id, labels.c.name.in_(named))
            )
            changed = [{"job_id": job_id, "name": n, "value": kept[n]} for n in named if n in kept]
            if changed:
                connection.execute(insert(labels), changed)
        return self.get(job_id, owner=owner)

    def request_finish(self, job_id: str, *, owner: str) -> JobRecord:
        """Ask for no further stack: the result is made of those that are done."""
        with self._database.writing() as connection:
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.owner == owner, jobs.c.state.in_(ACTIVE))
                .values(finish_requested=True)
            )
        return self.get(job_id, owner=owner)

    def delete(self, job_id: str, *, owner: str) -> None:
        """Forget an ended job and its history."""
        with self._database.writing() as connection:
            gone = connection.execute(
                delete(jobs)
                .where(jobs.c.id == job_id, jobs.c.owner == owner, jobs.c.state.not_in(ACTIVE))
                .returning(jobs.c.id)
            ).scalar_one_or_none()
        if gone is None:
            job = self.get(job_id, owner=owner)
            raise ConflictError(f"job {job_id} is {job.state}: cancel it before deleting it")

    def events(self, job_id: str, *, after: int = 0) -> list[Event]:
        """The job's history after an event, oldest first."""
        query = (
            select(events)
            .where(events.c.job_id == job_id, events.c.id > after)
            .order_by(events.c.id)
        )
        with self._database.reading() as connection:
            return [_event(row) for row in connection.execute(query)]

    def latest_events(self, job_ids: Sequence[str]) -> dict[str, int]:
        """The number of the latest event of each of these jobs that is there."""
        query = select(events.c.job_id, func.max(events.c.id)).group_by(events.c.job_id)
        found: dict[str, int] = {}
        with self._database.reading() as connection:
            for some in batched(job_ids):
                rows = connection.execute(query.where(events.c.job_id.in_(some))).all()
                found |= {row[0]: row[1] for row in rows}
        return found

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of jobs by state and priority."""
        query = select(jobs.c.state, jobs.c.priority, func.count()).group_by(
            jobs.c.state, jobs.c.priority
        )
        with self._database.reading() as connection:
            return {(state, priority): n for state, priority, n in connection.execute(query)}

    def longest_wait(self) -> float:
        """Seconds that the job queued first has waited; 0 when none is queued."""
        oldest = select(Now() - func.min(jobs.c.created_at)).where(jobs.c.state == State.QUEUED)
        with self._database.reading() as connection:
            return float(connection.execute(oldest).scalar_one() or 0.0)

    def has_key(self, owner: str, key: str) -> bool:
        """Whether an owner's idempotency key was used."""
        return self._by_idempotency_key(owner, key) is not None

    def repeated(self, owner: str, key: str | None, fingerprint: str) -> JobRecord | None:
        """The job that an owner's key was used for before; None where it was not.

        Raises
        ------
        IdempotencyMismatchError
            When it was used for something else.
        """
        known = self._by_idempotency_key(owner, key)
        return None if known is None else self._repeated(known, fingerprint)

    def _repeated(self, known: Any, fingerprint: str | None) -> JobRecord:
        """The job that a key was used for, if it was for the same."""
        if known.fingerprint != fingerprint:
            raise IdempotencyMismatchError(
                f"the Idempotency-Key {known.idempotency_key!r} was used for another submission"
            )
        return self.get(known.id)

    def _by_idempotency_key(self, owner: str, key: str | None) -> Any:
        if key is None:
            return None
        with self._database.reading() as connection:
            return connection.execute(
                select(jobs.c.id, jobs.c.fingerprint, jobs.c.idempotency_key).where(
                    jobs.c.owner == owner, jobs.c.idempotency_key == key
                )
            ).one_or_none()


# Asked all the time, and most of the time goes into the making of a statement: so it is made once.
_IMAGE_NAME = images.c.name.label("image_name")
_JOB = (
    select(jobs, _IMAGE_NAME)
    .join(images, images.c.id == jobs.c.image_id)
    .where(jobs.c.id == bindparam("id"))
)
_USE = (
    update(images)
    .where(
        images.c.id == bindparam("its_id"),
        images.c.owner == bindparam("its_owner"),
        images.c.expired_at.is_(None),
    )
    .values(used_at=Now())
    .returning(images.c.name)
)
_QUEUED = select(func.count()).where(jobs.c.state == State.QUEUED)
_QUEUED_NOW = select(  # two counts, each of which an index answers
    _QUEUED.where(jobs.c.owner == bindparam("its_owner")).scalar_subquery().label("own"),
    _QUEUED.scalar_subquery().label("everyone"),
)
_ENTERING = insert(jobs).values(created_at=Now()).returning(jobs.c.serial, jobs.c.created_at)
_EVENT = insert(events).values(created_at=Now())
_ARTIFACTS = (
    select(artifacts).where(artifacts.c.job_id == bindparam("id")).order_by(artifacts.c.name)
)


def batched(items: Sequence[Item], size: int = 500) -> Iterator[Sequence[Item]]:
    """Some at a time, as a statement may have only so many values."""
    return (items[start : start + size] for start in range(0, len(items), size))


def used(connection: Connection, owner: str) -> int:
    """Bytes that the files of an owner's images and jobs take, and of parts of jobs."""
    inputs = select(func.sum(images.c.stored)).where(images.c.owner == owner)
    own = (jobs.c.owner == owner, jobs.c.purged.is_(False))
    results = (
        select(func.sum(artifacts.c.size)).join(jobs, jobs.c.id == artifacts.c.job_id).where(*own)
    )
    interims = (
        select(func.sum(events.c.data["size"].as_float()))
        .join(jobs, jobs.c.id == events.c.job_id)
        .where(*own, events.c.type == EventType.INTERIM, events.c.attempt == jobs.c.attempt)
    )
    sums = (connection.execute(each).scalar_one() for each in (inputs, results, interims))
    of_parts = select(parts.c.made).join(jobs, jobs.c.id == parts.c.job_id)
    made = connection.execute(of_parts.where(jobs.c.owner == owner)).scalars()
    held = sum(int(file["size"]) for files in made for file in files)
    return held + sum(int(each or 0) for each in sums)


def _enter(connection: Connection, request: JobRequest, **held: str | None) -> JobRecord:
    """Enter a job, as the transaction's next one."""
    job_id = uuid4().hex
    row = asdict(request) | held | {"id": job_id, "state": State.QUEUED}
    named = [{"job_id": job_id, "name": n, "value": v} for n, v in request.labels.items()]
    image_name = _use(connection, request.image_id, request.owner)
    turn = next_turn(connection, request)
    entered = connection.execute(_ENTERING, row | {"turn": turn}).one()
    if named:
        connection.execute(insert(labels), named)
    write_event(connection, job_id, 1, EventType.QUEUED)
    return JobRecord(
        id=job_id,
        serial=entered.serial,
        request=request,
        state=State.QUEUED,
        attempt=1,
        created_at=entered.created_at,
        image_name=image_name,
    )


def _check_room(connection: Connection, owner: str, room: Room, *, more: int = 0) -> None:
    own, everyone = connection.execute(_QUEUED_NOW, {"its_owner": owner}).one()
    for limit, value, got, whose in (
        ("max_queued_per_owner", room.per_owner, own + more, owner),
        ("max_queued", room.everyone, everyone + more, "all owners"),
    ):
        if got > value:
            raise QueueFullError(limit, value, got, whose)


def _use(connection: Connection, image_id: str, owner: str) -> str:
    """Note that a job needs the owner's image, which therefore does not expire now; its name."""
    name = connection.execute(_USE, {"its_id": image_id, "its_owner": owner}).scalar_one_or_none()
    if name is not None:
        return str(name)
    here = (images.c.id == image_id, images.c.owner == owner)
    expired_at = connection.execute(select(images.c.expired_at).where(*here)).scalar_one_or_none()
    if expired_at is not None:
        raise ExpiredError(f"image {image_id}", expired_at)
    raise missing(connection, "image", image_id, owner)


def write_event(
    connection: Connection,
    job_id: str,
    attempt: int,
    type_: EventType,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Add a line to a job's history, within the transaction that makes it true.

    Webhooks are told of its end, in the same transaction.
    """
    row = {"job_id": job_id, "attempt": attempt, "type": type_, "data": dict(data or {})}
    connection.execute(_EVENT, row)
    tell_of_job(connection, job_id, attempt, type_, data or {})


def _job(row: Row[Any]) -> JobRecord:
    request = JobRequest(
        owner=row.owner,
        image_id=row.image_id,
        params=row.params,
        priority=Priority(row.priority),
        external_id=row.external_id,
        sample_id=row.sample_id,
        labels=row.labels,
        metadata=row._mapping.get("metadata", {}),  # a list has none
        retry_of=row.retry_of,
        batch=row.batch,
        request_id=row.request_id,
    )
    return JobRecord(
        id=row.id,
        serial=row.serial,
        request=request,
        state=State(row.state),
        attempt=row.attempt,
        created_at=row.created_at,
        stage=Stage(row.stage) if row.stage else None,
        stacks_done=row.stacks_done,
        stacks=row.stacks,
        started_at=row.started_at,
        finished_at=row.finished_at,
        expires_at=row.expires_at,
        finish_requested=row.finish_requested,
        image_name=row.image_name,
        failure=Failure(row.failure_code, row.failure_detail) if row.failure_code else None,
    )


def _event(row: Row[Any]) -> Event:
    return Event(row.id, row.job_id, row.attempt, EventType(row.type), row.data, row.created_at)
