"""A file decoded into a folder, where this or another process denoises it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.contract import FileInfo
from worker.decoding.inspection import companions_of, decode_file
from worker.settings import Settings
from worker.store import sha256_of


@dataclass(frozen=True)
class Decoded:
    """A file whose pixels lie in a folder, where this or another process denoises them.

    Parameters
    ----------
    path : Path
    folder : Path
        Which is given up when all is done.
    contents : FileInfo
    inputs : mapping of Path to str
        SHA-256 of the file and of those that belong to it, from before they were decoded.
    """

    path: Path
    folder: Path
    contents: FileInfo
    inputs: Mapping[Path, str]


def decode(path: Path, folder: Path, settings: Settings) -> Decoded:
    """Decode a file in a child process into a folder.

    Raises
    ------
    FormatError
    DecoderError
    """
    inputs = {each: sha256_of(each) for each in (path, *companions_of(path))}
    return Decoded(path, folder, decode_file(path, folder, settings), inputs)
