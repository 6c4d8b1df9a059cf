"""Places that many share: in turn, so many of one name, none lost."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.http.turns import CrowdedError, Place, Turns


async def soon(*tasks: "asyncio.Task[Place]") -> list[bool]:
    """Let everything happen that can; which tasks have their place."""
    for _ in range(5):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


async def one_holds_no_more_than_may_be() -> None:
    turns = Turns(places=4, of_one=2, most_waiting=9)
    ada = [asyncio.create_task(turns.take("ada")) for _ in range(4)]
    assert await soon(*ada) == [True, True, False, False]
    bob = [asyncio.create_task(turns.take("bob")) for _ in range(2)]
    assert await soon(*bob) == [True, True]
    bob[0].result().leave()
    assert await soon(*ada) == [True, True, False, False], "ada has two"
    ada[0].result().leave()
    ada[0].result().leave()  # once is enough
    assert await soon(*ada) == [True, True, True, False]


def test_one_holds_no_more_than_may_be() -> None:
    asyncio.run(one_holds_no_more_than_may_be())


async def so_many_may_wait() -> None:
    turns = Turns(places=1, of_one=1, most_waiting=1)
    await turns.take("ada")
    waiting = asyncio.create_task(turns.take("ada"))
    await soon(waiting)
    with pytest.raises(CrowdedError) as refused:
        await turns.take("ada")
    assert (refused.value.got, refused.value.most) == (2, 1)
    waiting.cancel()
    await soon(waiting)
    again = asyncio.create_task(turns.take("ada"))
    assert await soon(again) == [False], "who has hung up waits no more"


def test_so_many_may_wait() -> None:
    asyncio.run(so_many_may_wait())


async def who_is_just_hanging_up_gets_no_place() -> None:
    turns = Turns(places=1, of_one=1, most_waiting=9)
    first = await turns.take("ada")
    waiting = [asyncio.create_task(turns.take("ada")) for _ in range(2)]
    await soon(*waiting)
    waiting[0].cancel()
    first.leave()
    assert await soon(*waiting) == [True, True]
    assert waiting[0].cancelled()
    waiting[1].result().leave()
    assert (turns.taken, turns.waiting) == (0, 0)


def test_who_is_just_hanging_up_gets_no_place() -> None:
    asyncio.run(who_is_just_hanging_up_gets_no_place())


STEPS = st.lists(st.tuples(st.sampled_from("tlc"), st.integers(0, 3), st.integers(0, 9)))


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_no_place_is_lost_or_given_twice(steps: list[tuple[str, int, int]]) -> None:
    asyncio.run(everything_ends(steps))


async def everything_ends(steps: list[tuple[str, int, int]]) -> None:
    turns = Turns(places=3, of_one=2, most_waiting=99)
    tasks: list[asyncio.Task[Place]] = []
    for what, owner, which in steps:
        if what == "t":
            tasks.append(asyncio.create_task(turns.take(f"owner-{owner}")))
        elif tasks and what == "c":
            tasks[which % len(tasks)].cancel()
        elif tasks and (task := tasks[which % len(tasks)]).done() and not task.cancelled():
            task.result().leave()
        if which % 2:  # else several things happen before anybody is told
            await soon()
        assert turns.taken <= 3
    for _ in range(len(tasks) + 1):
        await soon()
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result().leave()
    assert all(task.done() for task in tasks), "somebody waits for ever"
    assert (turns.taken, turns.waiting) == (0, 0)
