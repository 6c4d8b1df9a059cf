"""A file on this machine, decoded as the server would; without torch."""

from pathlib import Path
from tempfile import TemporaryDirectory

from worker.contract import FileInfo
from worker.decoding.parent import decode
from worker.decoding.terms import Limits
from worker.formats.series import owner_of_series
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
    """The SER files beside an EMI file that belong to it."""
    path = path.resolve()
    if path.suffix.lower() != ".emi":
        return []
    found = [(owner_of_series(each.name), each) for each in path.parent.iterdir()]
    mine = path.name.lower()
    return [
        each for _, each in sorted((own[1], each) for own, each in found if own and own[0] == mine)
    ]
