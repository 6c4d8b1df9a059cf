"""Refusals of one name come one after the other, and hold back nobody else."""

import asyncio
import math
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any

from app.http.refusals import Refusals

RATE = 200.0  # a second


class Ahead(asyncio.SelectorEventLoop):
    """A loop that does not wait: its clock goes on to what comes next."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0].when())
        super()._run_once()


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=Ahead) as runner:
        runner.run(work)


async def answered(refusals: Refusals, name: str) -> float:
    """When a refusal is answered."""
    await refusals.turn(name)
    return asyncio.get_running_loop().time()


def test_more_than_may_be_held_are_answered_at_once() -> None:
    async def refused() -> None:
        refusals = Refusals(a_second=1, within=60, most_held=5)
        times = await asyncio.gather(*(answered(refusals, "ada") for _ in range(7)))
        assert sorted(times) == [0, 0, 0, 1, 2, 3, 4]

    run(refused())


def test_the_more_are_held_the_closer_they_follow_and_never_many_at_once() -> None:
    number, within = 1000, 10.0

    async def refused() -> None:
        refusals = Refusals(a_second=1, within=within, most_held=number)
        times = await asyncio.gather(*(answered(refusals, "ada") for _ in range(number)))
        assert times[-1] < within * (1 + math.log(number / within))
        assert min(later - one for one, later in pairwise(times)) > 0.99 * within / number

    run(refused())


def test_nothing_is_remembered_of_who_is_not_refused_any_more() -> None:
    async def refused() -> None:
        refusals = Refusals(a_second=1, within=60, most_held=5)
        for number in range(100):
            await refusals.turn(str(number))
            await asyncio.sleep(1)
        assert len(refusals._next) <= 1

    run(refused())


def test_a_pause_saves_no_turns() -> None:
    async def refused() -> None:
        refusals = Refusals(a_second=1, within=60, most_held=50)
        await refusals.turn("ada")
        await asyncio.sleep(100)
        times = await asyncio.gather(*(answered(refusals, "ada") for _ in range(3)))
        assert times == [100, 101, 102]

    run(refused())


def test_who_hung_up_is_not_waited_for() -> None:
    async def refused() -> None:
        refusals = Refusals(a_second=0.1, within=60, most_held=50)
        asking = [asyncio.create_task(refusals.turn("ada")) for _ in range(50)]
        await asyncio.sleep(0)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert await answered(refusals, "ada") <= 10

    run(refused())


def test_one_follows_the_other() -> None:
    async def times() -> list[float]:
        refusals, loop = Refusals(RATE, within=60, most_held=100), asyncio.get_running_loop()

        async def one() -> float:
            await refusals.turn("ada")
            return loop.time()

        begun = loop.time()
        answered = await asyncio.gather(*(one() for _ in range(20)))
        assert refusals.held == 0
        return [each - begun for each in answered]

    found = asyncio.run(times())
    assert found == sorted(found)
    for number, seconds in enumerate(found):
        assert seconds > (number - 0.5) / RATE


def test_another_name_does_not_wait() -> None:
    async def refused() -> None:
        refusals = Refusals(a_second=0.01, within=60, most_held=100)
        asking = [asyncio.create_task(refusals.turn("ada")) for _ in range(10)]
        await asyncio.sleep(0)
        await refusals.turn("bob")
        assert refusals.held >= 9
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert refusals.held == 0

    asyncio.run(refused())


def test_no_more_than_so_many_are_held_and_none_for_ever() -> None:
    async def refused() -> None:
        refusals = Refusals(a_second=0.01, within=0.05, most_held=5)
        asking = [asyncio.create_task(refusals.turn("ada")) for _ in range(5)]
        await asyncio.sleep(0)
        await refusals.turn("ada")  # at once
        await asyncio.gather(*asking)  # though its turn would be in minutes

    asyncio.run(refused())
