"""A long queue: in the right order, and not dearer to ask about than a short one."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import event, insert, update

from tests.support.lattices import add_image
from worker.contract import JobRequest, Priority, Room, State
from worker.ledger.backlog import Backlog
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.ledger.tables import jobs

STEP = 100  # instructions of SQLite's machine


def fill(database: Database, count: int, owners: int, seed: int = 0) -> list[str]:
    """So many queued jobs of so many owners; a few are in the queue already."""
    rng, turns = Random(seed), Counter[tuple[str, Priority]]()
    images = {f"owner-{n}": add_image(database, owner=f"owner-{n}").id for n in range(owners)}
    rows = []
    for n in range(count):
        owner, priority = f"owner-{rng.randrange(owners)}", rng.choice(list(Priority))
        rows.append(
            {
                "id": f"{rng.randrange(16**32):032x}",
                "owner": owner,
                "image_id": images[owner],
                "params": {},
                "priority": priority,
                "labels": {},
                "metadata": {},
                "state": State.QUEUED if rng.random() < 0.9 else State.CANCELED,
                "turn": turns[owner, priority],
                "created_at": float(n),
            }
        )
        turns[owner, priority] += 1
    with database.writing() as connection:
        connection.execute(insert(jobs), rows)
        for n, row in enumerate(rng.sample(rows, min(4, count))):
            here = jobs.c.id == row["id"]
            connection.execute(update(jobs).where(here).values(dispatched_at=1.0 + n // 2))
    return [str(row["id"]) for row in rows]


@pytest.mark.parametrize("seed", range(5))
def test_positions_are_places_in_the_order_of_dispatch(database_url: str, seed: int) -> None:
    database = Database.open(database_url)
    ids = fill(database, 120, 7, seed)
    order = [each.job_id for each in Backlog(database).waiting(1000)]
    assert [each.job_id for each in Backlog(database).waiting(9)] == order[:9]
    expected = {job_id: n for n, job_id in enumerate(order)}
    assert len(order) < len(ids), "some are not queued"
    assert Jobs(database).queue_positions(ids) == expected
    some = Random(seed).sample(ids, 11)
    assert Jobs(database).queue_positions(some) == {
        job_id: expected[job_id] for job_id in some if job_id in expected
    }
    assert [Jobs(database).queue_position(job_id) for job_id in order[:3]] == [0, 1, 2]
    database.close()


def test_the_order_is_by_priority_then_turn_then_arrival(database_url: str) -> None:
    database = Database.open(database_url)
    fill(database, 200, 5)
    with database.reading() as connection:
        rows = {row.id: row for row in connection.execute(jobs.select())}
    order = [rows[each.job_id] for each in Backlog(database).waiting(1000)]

    def place(row: object) -> tuple[object, ...]:
        dispatched = row.dispatched_at is not None  # type: ignore[attr-defined]
        rank = list(Priority).index(row.priority)  # type: ignore[attr-defined]
        when = row.dispatched_at or 0.0  # type: ignore[attr-defined]
        return not dispatched, when, rank, row.turn, row.serial  # type: ignore[attr-defined]

    assert order == sorted(order, key=place)
    database.close()


def steps(database: Database, ask: Callable[[], object]) -> int:
    """How much SQLite does for something, in `STEP` instructions."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    @event.listens_for(database.engine, "checkout")
    def watch(connection: object, *_: object) -> None:
        connection.set_progress_handler(count, STEP)  # type: ignore[attr-defined]

    ask()
    event.remove(database.engine, "checkout", watch)
    return taken


def test_a_long_queue_costs_what_a_short_one_does(tmp_path: Path) -> None:
    room = Room(10**6, 10**6)
    costs: dict[str, list[int]] = {}
    for count in (400, 4000):
        database = Database.open(f"sqlite:///{tmp_path}/{count}.sqlite")
        ids = fill(database, count, 10)
        known, backlog = Jobs(database), Backlog(database)
        image = add_image(database, owner="new").id
        asked: dict[str, Callable[[], object]] = {
            "next": lambda backlog=backlog: backlog.waiting(4),
            "page": lambda known=known: known.page(state=State.QUEUED, limit=50),
            "page of an owner": lambda known=known: known.page(
                owner="owner-3", state=State.QUEUED, limit=20
            ),
            "label": lambda known=known: known.page(having=[("a", "b")], limit=50),
            "submit": lambda known=known, image=image: known.submit(JobRequest("new", image, {})),
        }
        for what, ask in asked.items():
            costs.setdefault(what, []).append(steps(database, ask))
        one = steps(database, lambda known=known, ids=ids: known.queue_positions(ids[-1:]))
        page = steps(database, lambda known=known, ids=ids: known.queue_positions(ids[-200:]))
        assert page < 5 * one + 300, "each position of a page is counted from the beginning"
        known.check_room("new", room)
        database.close()
    assert all(long < 2 * short + 20 for short, long in costs.values()), costs
