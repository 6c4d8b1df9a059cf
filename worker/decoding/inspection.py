"""A file on this machine, decoded as the server would; without torch."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from worker.contract import FileInfo
from worker.decoding.parent import decode
from worker.decoding.terms import Limits
from worker.settings import Settings


def inspect_file(path: Path) -> FileInfo:
    """What is in a file."""
    with TemporaryDirectory(prefix="reucid-") as folder:
        return decode_file(path, Path(folder), Settings())


def decode_file(path: Path, folder: Path, settings: Settings) -> FileInfo:
    """Decode a file, with those that belong to it, into a folder."""
    limits = Limits(settings.max_pixels, settings.decode_timeout_s)
    return decode(path.resolve(strict=True), folder, limits, companions_of(path))


def companions_of(path: Path) -> list[Path]:
    """The SER files that belong to an EMI file, by TIA's rule: NAME_1.ser beside NAME.emi."""
    path = path.resolve()
    if path.suffix.lower() != ".emi":
        return []
    name = re.compile(re.escape(path.stem) + r"_(\d+)\.ser", re.IGNORECASE)
    found = [(name.fullmatch(each.name), each) for each in path.parent.iterdir()]
    return [each for _, each in sorted((int(m.group(1)), each) for m, each in found if m)]
