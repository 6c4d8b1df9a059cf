"""The order in which queued jobs are run: interactive before batch, owners in turn.

A job's turn is fixed when it is submitted: one round after its owner's last active job, but no
round that is past. Numbering each owner's queued jobs when they are read would not do: whoever has
the oldest jobs is number one again after every start, and the others starve.

What is in the queue already is not overtaken. These are few; all others are in the order of an
index, so that nothing here is sorted, however many wait.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select, tuple_

from worker.contract import JobRequest, Priority, State
from worker.ledger.tables import jobs

FIRST, LAST = (-1, -1), (2**31 - 1, 2**31 - 1)  # turn and serial before and after all others
AT_ONCE = 500  # ids in one statement

# Made once: making a statement takes longer than executing it.
_QUEUED = jobs.c.state == State.QUEUED
_PLACE = (jobs.c.turn, jobs.c.serial)
_DISPATCHED = (jobs.c.dispatched_at, jobs.c.priority.desc(), *_PLACE)  # interactive before batch
_PLACES = select(jobs.c.id, jobs.c.priority, *_PLACE)
_PLACES_OF = _PLACES.add_columns(jobs.c.state).where(
    jobs.c.id.in_(bindparam("ids", expanding=True))
)
_ON_THEIR_WAY = _PLACES.where(_QUEUED, jobs.c.dispatched_at > 0).order_by(*_DISPATCHED)


def _first(order: Any, *where: Any) -> Select[Any]:
    """One turn at most, found by the index however many jobs are queued."""
    one = select(jobs.c.turn).where(jobs.c.priority == bindparam("priority"), *where)
    return one.order_by(order).limit(1)


_RUNNING = jobs.c.state == State.RUNNING
_OWN = jobs.c.owner == bindparam("owner")
_LATEST, _NEWEST = jobs.c.turn.desc(), jobs.c.serial.desc()  # of one owner they are the same
_TURNS = select(
    _first(jobs.c.turn, _QUEUED).scalar_subquery().label("first_queued"),
    _first(_LATEST, _RUNNING).scalar_subquery().label("latest_running"),
    _first(_NEWEST, _QUEUED, _OWN).scalar_subquery().label("own_queued"),
    _first(_NEWEST, _RUNNING, _OWN).scalar_subquery().label("own_running"),
)

_BETWEEN = select(func.count()).where(
    _QUEUED,
    jobs.c.priority == bindparam("priority"),
    tuple_(*_PLACE) >= tuple_(bindparam("turn"), bindparam("serial")),
    tuple_(*_PLACE) < tuple_(bindparam("before_turn"), bindparam("before_serial")),
)


def next_ones(connection: Connection, limit: int, *columns: Any) -> list[Row[Any]]:
    """These columns of so many queued jobs, the next one first."""
    query = select(*columns).where(_QUEUED)
    dispatched = query.where(jobs.c.dispatched_at > 0).order_by(*_DISPATCHED)
    found = list(connection.execute(dispatched.limit(limit)))
    for priority in Priority:
        if len(found) < limit:
            waiting = query.where(jobs.c.priority == priority, jobs.c.dispatched_at.is_(None))
            ordered = waiting.order_by(*_PLACE).limit(limit - len(found))
            found += connection.execute(ordered)
    return found


def positions(connection: Connection, ids: Collection[str]) -> dict[str, int]:
    """How many queued jobs are before each of these; those not queued are left out.

    Counted along the index, once for all of them, and not sorted: clients ask for it all the time.
    """
    on_their_way = connection.execute(_ON_THEIR_WAY).all()
    found = {row.id: n for n, row in enumerate(on_their_way)}
    wanted = sorted(set(ids) - found.keys())
    places: list[Any] = []
    for start in range(0, len(wanted), AT_ONCE):
        rows = connection.execute(_PLACES_OF, {"ids": wanted[start : start + AT_ONCE]})
        # Not asked of the database, which would look through all that are queued.
        places += [row for row in rows if row.state == State.QUEUED]
    places.sort(key=_key)
    before = 0
    for priority in Priority:
        since = FIRST
        for place in (each for each in places if each.priority == priority):
            before += _between(connection, priority, since, (place.turn, place.serial))
            since = (place.turn, place.serial)
            overtaken_by = sum(_key(other) > _key(place) for other in on_their_way)
            found[place.id] = before + overtaken_by
        if places and places[-1].priority != priority:
            before += _between(connection, priority, since, LAST)
    return {id_: found[id_] for id_ in ids if id_ in found}


def next_turn(connection: Connection, request: JobRequest) -> int:
    """The turn of a job that is about to be entered."""
    values = {"priority": request.priority, "owner": request.owner}
    turns = connection.execute(_TURNS, values).one()
    now = min(_known(turns.first_queued, turns.latest_running), default=0)
    own_last = max(_known(turns.own_queued, turns.own_running), default=None)
    return now if own_last is None else max(now, own_last + 1)


def _known(*turns: int | None) -> list[int]:
    return [turn for turn in turns if turn is not None]


def _between(
    connection: Connection, priority: Priority, since: tuple[int, int], before: tuple[int, int]
) -> int:
    values = {"priority": priority, "turn": since[0], "serial": since[1]}
    values |= {"before_turn": before[0], "before_serial": before[1]}
    return connection.execute(_BETWEEN, values).scalar_one()


def _key(place: Any) -> tuple[int, int, int]:
    return list(Priority).index(Priority(place.priority)), place.turn, place.serial
