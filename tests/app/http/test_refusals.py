"""Refusals of one name come one after the other, and hold back nobody else."""

import asyncio

from app.http.refusals import Refusals

RATE = 200.0  # a second


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
