"""What a file may declare."""

from dataclasses import dataclass

from worker.formats.errors import LimitError
from worker.formats.file_limits import FREELY_DECODED, LARGEST_RATIO, MOST_FRAMES


@dataclass
class Declared:
    """The images of one upload, summed up as they are found."""

    max_pixels: int
    file_size: int = 0
    pixels: int = 0
    bytes: int = 0

    def add(self, pixels: int, decoded: int, *, stored: bool) -> None:
        """Count an image in; `stored` when its pixels lie in the file as they are.

        Raises
        ------
        LimitError, ValueError
            When the images so far are more than the limits or the file's size allow.
        """
        self.pixels += pixels
        self.bytes += decoded
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
        raise LimitError(
            "too_large",
            f"got {count} frames in a signal, at most {MOST_FRAMES} are accepted (max_frames)",
            "max_frames",
            MOST_FRAMES,
            count,
        )
