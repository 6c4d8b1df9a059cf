"""Which files of a watched folder are complete, and not done yet.

By looking at it again and again: that works on network folders, too, which tell nobody of changes.
Nothing is compared with this machine's clock but how long a file has looked the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.commands.batch.inputs import Source, images_in
from app.commands.batch.order import Order
from app.commands.batch.record import Entry, Record, Stamp, content_now, stamp_of
from worker.decoding.inspection import companions_of
from worker.formats.series import named_in, series_number

AGAIN = 60.0  # s after which what was no fault of the file is tried once more
LONGEST_WAIT = 10  # times `settle`, that an EMI file waits for the series it names


@dataclass
class _Seen:
    """A file as it was last found."""

    stamp: Stamp
    since: float  # s, when it was first found so
    settled: float = float("inf")  # when it is looked at next; never, once it is done


@dataclass
class Watch:
    """A folder that files are saved to.

    Parameters
    ----------
    folder : Path
    order : Order
    record : Record
    settle : float
        Seconds for which size and time of a file do not change before it counts as complete.
    """

    folder: Path
    order: Order
    record: Record
    settle: float
    _seen: dict[Path, _Seen] = field(default_factory=dict)

    def complete(self, now: float) -> Iterator[Source]:
        """Files to be denoised, each once; `now` in s by a clock that is never set back."""
        found = {path: stamp for path in self._images() if (stamp := _stamp(path)) is not None}
        self._seen = {path: each for path, each in self._seen.items() if path in found}
        for path, stamp in found.items():
            seen = self._seen.get(path)
            if seen is None or seen.stamp != stamp:
                self._seen[path] = _Seen(stamp, now, now + self.settle)
            elif now >= seen.settled and not self._waits(path, seen, now):
                seen.settled = float("inf")
                source = Source(path, path.relative_to(self.folder))
                if not self._is_done(source, stamp):
                    yield source

    def ended(self, source: Source, entry: Entry, now: float) -> None:
        """Try again later what failed through no fault of the file."""
        seen = self._seen.get(source.path)
        if seen is not None and entry.row.ours:
            seen.settled = now + AGAIN

    def _images(self) -> Iterator[Path]:
        return images_in(self.folder, self.order.folders)

    def _waits(self, path: Path, seen: _Seen, now: float) -> bool:
        """Whether series that an EMI file names are still to come."""
        if path.suffix.lower() != ".emi" or now - seen.since > LONGEST_WAIT * self.settle:
            return False
        there = {series_number(each.name) for each in companions_of(path)}
        named = set(named_in(path.read_bytes()))
        return not there or not named <= there

    def _is_done(self, source: Source, stamp: Stamp) -> bool:
        """By the record: also when the result was taken away since, or the file is no image."""
        entry = self.record.last(source.relative)
        if entry is None or entry.order != self.order.digest or entry.row.ours:
            return False
        return entry.stamp == stamp or entry.content == content_now(source.path)


def _stamp(path: Path) -> Stamp | None:
    """None while there is nothing in it, or when it went away."""
    try:
        stamp = stamp_of(path)
    except OSError:
        return None
    return stamp if all(size for _, size, _ in stamp) else None
