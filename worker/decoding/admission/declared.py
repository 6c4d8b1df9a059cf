"""What a file may declare."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from worker.formats.errors import FormatError, LimitError, exceeded
from worker.formats.file_limits import FREELY_DECODED, LARGEST_RATIO, MOST_FRAMES


@dataclass
class Declared:
    """The images of one upload, summed up as they are found."""

    max_pixels: int
    file_size: int = 0
    pixels: int = 0
    bytes: int = 0
    shapes: Counter[tuple[int, int]] = field(default_factory=Counter)  # rows, columns: how many

    def add(
        self,
        pixels: int,
        decoded: int,
        *,
        stored: bool,
        shape: tuple[int, int] | None = None,
        count: int = 1,
    ) -> None:
        """Count images in: `count` of one shape, where the format states shapes.

        `stored` when their pixels lie in the file as they are.

        Raises
        ------
        LimitError, ValueError
            When the images so far are more than the limits or the file's size allow.
        """
        self.pixels += pixels
        self.bytes += decoded
        if shape is not None:
            self.shapes[shape] += count
        if self.pixels > self.max_pixels:
            raise LimitError(
                "too_many_pixels",
                f"got an image of {self.pixels} pixels, at most {self.max_pixels} are accepted "
                "(max_pixels)",
                "max_pixels",
                self.max_pixels,
                self.pixels,
            )
        if stored and self.bytes > self.file_size:
            raise ValueError(
                f"got a file of {self.file_size} bytes, expected the {self.bytes} bytes of pixels "
                "that it declares"
            )
        self._check_ratio()

    def check_read(self, read: Sequence[NDArray[Any]]) -> None:
        """Hold what a reader made of the file against what it was admitted for.

        Raises
        ------
        FormatError
            When it is more.
        """
        found = sum(pixels.nbytes for pixels in read)
        if found > max(self.bytes, self.file_size):
            raise FormatError(
                "damaged_file",
                f"got {found} bytes of pixels from a file that declares {self.bytes}: it can be "
                "understood in more than one way",
            )

    def _check_ratio(self) -> None:
        allowed = max(FREELY_DECODED, LARGEST_RATIO * self.file_size)
        if self.bytes > allowed:
            raise LimitError(
                "too_compressed",
                f"got a file of {self.file_size} bytes that declares {self.bytes} bytes of pixels, "
                f"at most {allowed} are accepted (max_ratio, {LARGEST_RATIO} times its size, or "
                f"{FREELY_DECODED}): save it with less compression",
                "max_ratio",
                LARGEST_RATIO,
                round(self.bytes / self.file_size, 1),
            )


def check_frames(count: int) -> None:
    """Refuse too many images in a file."""
    if count > MOST_FRAMES:
        raise exceeded("max_frames", "frames in a signal", MOST_FRAMES, count)
