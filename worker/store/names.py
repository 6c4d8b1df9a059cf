"""What files are called, in a folder and in a bucket alike."""

import re
from pathlib import Path

ID = re.compile(r"[0-9a-f]{32}(-[0-9a-f]{8})?")  # of an upload, image, job; see `folder_of`
ORIGINAL, PIXELS = "original", "pixels.npy"  # of an upload and of an image
COMPANION = "companion"  # the files that came with it
IDENTITY = "identity"  # whose store this is


def pixels_name(signal: int) -> str:
    """The name of a decoded image signal's file."""
    return f"pixels-{int(signal)}.npy" if signal else PIXELS


def companion_name(n: int) -> str:
    """The name of a file that comes with the original; n is its own number, of at most 4 digits."""
    return f"{COMPANION}-{n:04d}"


def companions_in(folder: Path) -> list[Path]:
    """The files beside an original, in order."""
    return sorted(folder.glob(f"{COMPANION}-*"))


def interim_name(n: int) -> str:
    """The name of the interim result after n stacks."""
    return f"interim-{n:04d}.npy"


def checked(id_: str) -> str:
    """An id that leads nowhere else when it is a part of a path."""
    if not ID.fullmatch(id_):
        raise ValueError(f"got the id {id_!r}, expected 32 hexadecimal digits")
    return id_
