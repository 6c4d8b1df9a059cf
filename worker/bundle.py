"""A denoising in one file: a zip of input, result, report, eigenpatches and their record.

The same run gives the same bytes.
"""

import hashlib
import io
import json
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from worker.archive import CHUNK, ArchiveError, Unpacked, unpack_zip
from worker.contract import Artifact, ImageInfo
from worker.formats import SUFFIXES
from worker.provenance import RECORD, RESULTS, Run, record
from worker.store import sha256_of

MEDIA_TYPE = "application/zip"
CHECKSUMS = "SHA256SUMS"
INPUT = re.compile(r"input\.[a-z0-9]{1,8}")
ORDER = (RECORD, CHECKSUMS, "report.json", "result.npy", "result.tif", "residual.tif")
TEXTS = (RECORD, CHECKSUMS, "report.json")

REGULAR_FILE = 0o100644 << 16
UNIX = 3
MAX_TEXT = 2**26  # bytes


# --- writing ---------------------------------------------------------------------------------


def input_name(info: ImageInfo) -> str:
    """What the input is called in a bundle, whatever its owner calls it."""
    suffixes = {format_: suffix for suffix, format_ in reversed(SUFFIXES.items())}
    return f"input{suffixes[info.format]}"


def parts(complete: bool) -> tuple[str, ...]:
    """What a bundle holds of a result; the coverage only where it says something."""
    return tuple(name for name in RESULTS if not complete or name != "coverage.npy")


def write_record(path: Path, run: Run, files: Mapping[str, Path]) -> None:
    """Write the record of a run and its files."""
    path.write_bytes(_record(run, _digests(files)))


def write(path: Path, run: Run, files: Mapping[str, Path]) -> None:
    """Write a bundle of a run's files, given by their names in it."""
    digests = _digests(files)
    written = _record(run, digests)
    texts = {RECORD: written, CHECKSUMS: _checksums(written, digests)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted([*texts, *files], key=_place):
            info = zipfile.ZipInfo(name)  # of 1980: a bundle does not tell when it was packed
            info.create_system, info.external_attr = UNIX, REGULAR_FILE
            info.file_size = len(texts[name]) if name in texts else digests[name].size
            content = io.BytesIO(texts[name]) if name in texts else files[name].open("rb")
            with content, archive.open(info, "w") as entry:
                shutil.copyfileobj(content, entry, CHUNK)


def _record(run: Run, digests: Mapping[str, Artifact]) -> bytes:
    inputs = [name for name in digests if INPUT.fullmatch(name)]
    files = [digests[name] for name in sorted(digests, key=_place)]
    document = record(run, files, inputs[0] if inputs else None)
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _checksums(written: bytes, digests: Mapping[str, Artifact]) -> bytes:
    """In the format of `sha256sum --check`."""
    hashes = {name: each.sha256 for name, each in digests.items()}
    hashes[RECORD] = hashlib.sha256(written).hexdigest()
    return "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes, key=_place)).encode()


def _digests(files: Mapping[str, Path]) -> dict[str, Artifact]:
    return {
        name: Artifact(name, sha256_of(path), path.stat().st_size) for name, path in files.items()
    }


def _place(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


# --- reading ---------------------------------------------------------------------------------


def unpack(bundle: Path, folder: Path, *, max_input: int, max_pixels: int) -> Unpacked:
    """Unpack a bundle that nobody vouches for.

    Raises
    ------
    ArchiveError
        When it is not a zip, or holds an entry that no bundle has, or a larger one.
    """

    def most(name: str) -> int | None:
        if INPUT.fullmatch(name):
            return max_input
        if name in TEXTS:
            return MAX_TEXT
        return 8 * max_pixels + CHUNK if name in RESULTS else None  # the widest pixel, a header

    unpacked = unpack_zip(bundle, folder, most)
    inputs = [name for name in (*unpacked.files, *unpacked.damaged) if INPUT.fullmatch(name)]
    if len(inputs) > 1:
        raise ArchiveError(f"got {' and '.join(inputs)}, expected one input")
    return unpacked
