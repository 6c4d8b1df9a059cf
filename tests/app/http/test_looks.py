"""One look for all who ask."""

import asyncio

import pytest

from app.http.looks import SharedLook


class Eye:
    """Counts its looks, and fails when told to."""

    def __init__(self) -> None:
        self.looks = 0
        self.fails = False

    async def __call__(self) -> int:
        self.looks += 1
        await asyncio.sleep(0)
        if self.fails:
            raise OSError("a disk that fails")
        return self.looks


async def asked(look: SharedLook[int], eye: Eye, times: int) -> list[int]:
    return await asyncio.gather(*(look(eye) for _ in range(times)))


def test_many_who_ask_at_once_get_one_look() -> None:
    eye = Eye()
    assert set(asyncio.run(asked(SharedLook(kept=3600), eye, times=100))) == {1}
    assert eye.looks == 1


def test_what_was_seen_is_not_good_for_ever() -> None:
    assert asyncio.run(asked(SharedLook(kept=0), Eye(), times=2)) == [1, 2]


def test_a_look_that_fails_is_not_kept() -> None:
    async def failing_once() -> int:
        eye, look = Eye(), SharedLook[int](kept=3600)
        eye.fails = True
        with pytest.raises(OSError, match="fails"):
            await look(eye)
        eye.fails = False
        return await look(eye)

    assert asyncio.run(failing_once()) == 2
