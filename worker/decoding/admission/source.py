"""The bytes of a file that is being checked."""

import struct
from pathlib import Path
from typing import Any


class Source:
    """Reads where asked, and nothing beyond the file's end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._file = path.open("rb")

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, offset: int, count: int) -> bytes:
        """So many bytes from there.

        Raises
        ------
        ValueError
            When the file does not have them.
        """
        if offset < 0 or count < 0 or offset + count > self.size:
            raise ValueError(
                f"got a file of {self.size} bytes, expected at least {offset + count}: it ends "
                "before what it declares"
            )
        self._file.seek(offset)
        return self._file.read(count)

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        """Numbers from there, as `struct` spells their layout."""
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))
