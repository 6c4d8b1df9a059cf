"""What a file may declare."""

from dataclasses import dataclass

from worker.formats import FormatError

MIB = 2**20
FREELY_DECODED = 64 * MIB  # bytes of pixels that the smallest file may decode to
LARGEST_RATIO = 250  # beyond: bytes of pixels for each byte of the file
MOST_FRAMES = 10_000


@dataclass
class Declared:
    """The images of one file, summed up as they are found."""

    file_size: int
    max_pixels: int
    pixels: int = 0
    bytes: int = 0

    def add(self, pixels: int, decoded: int, *, stored: bool) -> None:
        """Count an image in; `stored` when its pixels lie in the file as they are.

        Raises
        ------
        FormatError
            When the images so far are more than the limits or the file's size allow.
        """
        self.pixels += pixels
        self.bytes += decoded
        if self.pixels > self.max_pixels:
            raise FormatError(
                "too_many_pixels",
                f"got an image of {self.pixels} pixels, at most {self.max_pixels} are accepted",
            )
        if stored and self.bytes > self.file_size:
            raise ValueError(
                f"got a file of {self.file_size} bytes, expected the {self.bytes} bytes of pixels "
                "that it declares"
            )
        allowed = max(FREELY_DECODED, LARGEST_RATIO * self.file_size)
        if self.bytes > allowed:
            raise FormatError(
                "too_compressed",
                f"got a file of {self.file_size} bytes that declares {self.bytes} bytes of pixels, "
                f"at most {allowed} are accepted ({LARGEST_RATIO} times its size, or "
                f"{FREELY_DECODED}): save it with less compression",
            )


def check_frames(count: int) -> None:
    """Refuse too many images in a file."""
    if count > MOST_FRAMES:
        raise FormatError(
            "too_many_frames", f"got more than {MOST_FRAMES} images in a file, which is the limit"
        )
