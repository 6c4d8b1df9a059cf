"""What a hostile file is, and how a valid one is spoilt."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHAPE = (24, 20)  # of the valid images: small, so that a mutation hits what matters
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1)


class Case(NamedTuple):
    """A file that has to be refused."""

    name: str
    content: bytes
    why: str
    has_image: bool = False  # beside what is wrong with it: that may be accepted, and nothing else


class Canary(NamedTuple):
    """Files that no upload may read, with random bytes that nothing else has."""

    raw: Path
    hdf5: Path
    tiff: Path
    secret: bytes


class Valid(NamedTuple):
    """A file that is accepted, and the places where its parts end."""

    format: str
    content: bytes
    boundaries: Sequence[int]


def image(seed: int = 0) -> NDArray[np.uint16]:
    """Noise that compresses badly."""
    return np.random.default_rng(seed).poisson(900, SHAPE).astype(np.uint16)


def truncations(valid: Valid) -> Iterator[Case]:
    """The file cut off at every boundary, and one byte before and after it."""
    ends = {place + step for place in valid.boundaries for step in (-1, 0, 1)}
    for end in sorted(ends):
        if 0 < end < len(valid.content):
            yield Case(f"{valid.format}-cut-at-{end}", valid.content[:end], "truncated")


def mutations(valid: Valid, count: int, seed: int) -> Iterator[Case]:
    """The file with a few bytes changed, the same ones for the same seed."""
    rng = np.random.default_rng([seed, *valid.format.encode()])
    for number in range(count):
        content = bytearray(valid.content)
        for _ in range(int(rng.integers(1, 4))):
            _mutate(content, rng, head=max(valid.boundaries, default=64))
        yield Case(f"{valid.format}-mutation-{number}", bytes(content), f"seed {seed}")


def _mutate(content: bytearray, rng: np.random.Generator, head: int) -> None:
    """Half of the changes are where the structure is, the others anywhere."""
    end = len(content) if rng.random() < 0.5 else min(head, len(content))
    place = int(rng.integers(end))
    width = int(rng.choice([1, 2, 4, 8]))
    match int(rng.integers(5)):
        case 0:
            content[place] ^= 1 << int(rng.integers(8))
        case 1:
            number = int(rng.choice(np.array(INTERESTING, np.uint64))) % 2 ** (8 * width)
            order = "little" if rng.random() < 0.5 else "big"
            content[place : place + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
        case 2:
            del content[place : place + width]
        case 3:
            content[place:place] = rng.bytes(width)
        case _:
            source = int(rng.integers(len(content)))
            content[place : place + 4 * width] = content[source : source + 4 * width]
