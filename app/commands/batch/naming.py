"""What results are called: after their inputs, each by a name of its own."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import PurePath

from app.commands.batch.inputs import SUFFIXES, Source

DOUBLE = (".ome.tif", ".ome.tiff")


def key(name: PurePath) -> str:
    """The same for names that some filesystem takes for one."""
    return unicodedata.normalize("NFC", str(name)).casefold()


def plain_name(relative: PurePath) -> PurePath:
    """Without the suffix, where that is one of an image: `map.1` of `map.1.dm3`."""
    name = relative.name
    for suffix in (*DOUBLE, relative.suffix.lower()):
        if suffix and name.lower().endswith(suffix) and suffix in (*DOUBLE, *SUFFIXES):
            return relative.with_name(name[: -len(suffix)] or name)
    return relative


def names(
    sources: Sequence[Source], ending: str, is_taken: Callable[[PurePath, PurePath], bool]
) -> dict[Source, PurePath]:
    """The name of each result, without its ending; whatever the order of the files.

    `is_taken` says of a name and an input, below their folders, whether the name is another's.

    `map.dm3` and `map.emd` become `map.dm3.tif` and `map.emd.tif`; alone each would be `map.tif`.
    """
    shared = Counter(key(plain_name(each.relative)) for each in sources)
    found: dict[Source, PurePath] = {}
    given: set[str] = set()
    for source in sources:
        is_shared = shared[key(plain_name(source.relative))] > 1
        found[source] = next(
            name
            for name in _candidates(source.relative, ending, shared=is_shared)
            if key(name) not in given and not is_taken(name, source.relative)
        )
        given.add(key(found[source]))
    return found


def _candidates(relative: PurePath, ending: str, *, shared: bool) -> Iterator[PurePath]:
    plain = plain_name(relative)
    is_alike = relative.suffix.lower() == ending  # then its whole name says no more
    if not shared or is_alike:
        yield plain
    if not is_alike:
        yield relative
    yield from (plain.with_name(f"{plain.name}-{number}") for number in count(2))
