"""Every hostile file there is, and what a server does with all of them."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import tifffile

from tests.hostile import costly, dms, hdf5s, mrcs, npys, pngs, sers, tiffs
from tests.hostile.cases import SHAPE, Canary, Case, Valid
from tests.hostile.service import Answer, Children, answers, serving

EMI = "emi-"  # of cases that are sent with a SER


@dataclass
class Outcome:
    """What the server did with all hostile files."""

    names: list[str]  # of all files
    answers: dict[str, Answer]  # to files that have to be refused
    tolerated: dict[str, Answer]  # to those that also have a valid image
    left: list[Path]  # in the store, afterwards
    betrayed: bool  # whether the canary's bytes were in the store
    good: Answer  # to a valid file, afterwards
    peak: int  # bytes resident, of the largest child
    children: int


def plant(folder: Path) -> Canary:
    """Files with random bytes, where hostile files say they are."""
    secret = np.random.default_rng().integers(1, 2**16, SHAPE).astype("<u2")
    canary = Canary(
        folder / "canary.raw", folder / "canary.h5", folder / "canary.tif", secret.tobytes()
    )
    canary.raw.write_bytes(canary.secret)
    with h5py.File(canary.hdf5, "w") as file:
        file["data"] = secret
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, secret)
    canary.tiff.write_bytes(buffer.getvalue())
    return canary


def snippets(canary: Canary) -> list[bytes]:
    """Parts of the canary, any of which would give it away."""
    return [canary.secret[place : place + 12] for place in range(0, len(canary.secret) - 12, 40)]


def hostile_files(canary: Canary) -> Iterator[Case]:
    """Everything that is made on purpose."""
    yield from tiffs.cases(canary)
    yield from pngs.cases()
    yield from npys.cases(canary)
    yield from hdf5s.cases(canary)
    yield from mrcs.cases()
    yield from dms.cases()
    yield from sers.cases()
    yield from sers.lone_emis(canary)
    yield from costly.cases()


def valid_files() -> list[Valid]:
    """One valid file of each format."""
    return [
        tiffs.valid(),
        tiffs.deflated(),
        pngs.valid(),
        npys.valid(),
        *hdf5s.valid(),
        mrcs.valid(),
        dms.valid(3),
        dms.valid(4),
        sers.valid(),
    ]


async def outcome_of(canary: Canary, cases: list[Case]) -> Outcome:
    with Children() as children:
        async with serving(canary.raw.parent / "data") as server:
            told = await answers(server, (case for case in cases if not case.has_image))
            tolerated = await answers(server, (case for case in cases if case.has_image))
            series = ("image_1.ser", sers.valid().content)
            emis = list(sers.emis(canary))
            bad, odd = ([each for each in emis if each.has_image is kind] for kind in (False, True))
            told |= await answers(server, bad, beside=[series])
            tolerated |= await answers(server, odd, beside=[series])
            left, betrayed = server.left(), server.holds(snippets(canary))
            good = await server.upload(("good.tif", tiffs.valid().content))
    names = [case.name for case in (*cases, *sers.emis(canary))]
    return Outcome(names, told, tolerated, left, betrayed, good, children.peak, len(children.seen))
