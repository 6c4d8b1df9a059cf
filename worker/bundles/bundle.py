"""A denoising in one file: a zip of input, result, report, eigenpatches and their record.

The same run gives the same bytes.
"""

import hashlib
import io
import json
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worker.bundles.provenance import RECORD, RESULTS, Run, record
from worker.bundles.unpacking import Terms, unpack_apart
from worker.contract import Artifact
from worker.denoising.artifacts import COVERAGE
from worker.denoising.reports import has_departures, is_whole
from worker.formats import suffix_of
from worker.formats.file_limits import MOST_FRAMES
from worker.formats.series import numbered
from worker.store import sha256_of
from worker.zips import CHUNK, ArchiveError, Unpacked

MEDIA_TYPE = "application/zip"
CHECKSUMS = "SHA256SUMS"
DEPARTURES = "departures.tif"
INPUT = re.compile(r"input\.[a-z0-9]{1,8}|input-[0-9]{4}\.ser")  # an EMI file has companions
ORDER = (RECORD, CHECKSUMS, "report.json", "result.npy", "result.tif", "residual.tif")
TEXTS = (RECORD, CHECKSUMS, "report.json")

REGULAR_FILE = 0o100644 << 16
UNIX = 3
MAX_TEXT = 2**16 * MOST_FRAMES  # bytes of a report
TEXT_RATIO = 16  # of what a text is unpacked to, to the size of the bundle
MOST_INPUTS = 16
BUDGET, BUDGET_RATIO = 2**24, 8  # bytes that any zip may be unpacked to; and by its size


# --- writing ---------------------------------------------------------------------------------


def inputs(format_: str, paths: Sequence[Path]) -> dict[str, Path]:
    """The files of an input by their names in a bundle, whatever their owner calls them."""
    companions = {f"input-{number:04d}.ser": path for number, path in numbered(paths[1:])}
    return {f"input{suffix_of(format_, stack=False)}": paths[0]} | companions


def parts(report: Mapping[str, Any]) -> tuple[str, ...]:
    """What a bundle holds of a result; the coverage only where it says something."""
    missing = {COVERAGE} if is_whole(report) else set()
    if not has_departures(report):
        missing.add(DEPARTURES)
    return tuple(name for name in RESULTS if name not in missing)


def write_record(
    path: Path,
    run: Run,
    files: Mapping[str, Path],
    sent: Mapping[str, Path],
    *,
    with_input: bool = True,
) -> None:
    """Write the record that a bundle of the same would hold."""
    path.write_bytes(_record(run, digests(files), digests(sent), with_input))


def write(
    path: Path,
    run: Run,
    files: Mapping[str, Path],
    sent: Mapping[str, Path],
    *,
    with_input: bool = True,
) -> None:
    """Write a bundle.

    Parameters
    ----------
    path : Path
    run : Run
    files, sent : mapping of str to Path
        The files of the result and of the input by their names in the bundle.
    with_input : bool
        Whether the bundle holds the input, or its hash only.
    """
    results, originals = digests(files), digests(sent)
    written = _record(run, results, originals, with_input)
    held, paths = results | (originals if with_input else {}), {**files, **sent}
    texts = {RECORD: written, CHECKSUMS: _checksums(written, held)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted([*texts, *held], key=_place):
            info = zipfile.ZipInfo(name)  # of 1980: a bundle does not tell when it was packed
            info.create_system, info.external_attr = UNIX, REGULAR_FILE
            info.file_size = len(texts[name]) if name in texts else held[name].size
            content = io.BytesIO(texts[name]) if name in texts else paths[name].open("rb")
            with content, archive.open(info, "w") as entry:
                shutil.copyfileobj(content, entry, CHUNK)


def _record(
    run: Run,
    results: Mapping[str, Artifact],
    originals: Mapping[str, Artifact],
    with_input: bool,
) -> bytes:
    files = [results[name] for name in sorted(results, key=_place)]
    document = record(run, files, list(originals.values()), with_input=with_input)
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _checksums(written: bytes, digests: Mapping[str, Artifact]) -> bytes:
    """In the format of `sha256sum --check`."""
    hashes = {name: each.sha256 for name, each in digests.items()}
    hashes[RECORD] = hashlib.sha256(written).hexdigest()
    return "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes, key=_place)).encode()


def digests(files: Mapping[str, Path]) -> dict[str, Artifact]:
    """Hashes and sizes of files, by their names in a bundle."""
    return {
        name: Artifact(name, sha256_of(path), path.stat().st_size) for name, path in files.items()
    }


def _place(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


# --- reading ---------------------------------------------------------------------------------


def unpack(
    bundle: Path,
    folder: Path,
    *,
    max_input: int,
    max_pixels: int,
    wanted: frozenset[str] | None = None,
    justified: Mapping[str, int] | None = None,
) -> Unpacked:
    """Unpack a bundle that nobody vouches for.

    `wanted` are the names to unpack, by default all; `justified` the bytes that entries can need.

    Raises
    ------
    ArchiveError
        When it is not a zip, or holds an entry that no bundle has, or a larger one, or more in all
        than a file of its size justifies.
    """
    text = min(MAX_TEXT, TEXT_RATIO * bundle.stat().st_size)
    image = 8 * max_pixels + CHUNK  # the widest pixel, a header
    most = dict.fromkeys(RESULTS, image) | dict.fromkeys(TEXTS, text)
    terms = Terms(most, budget(bundle), wanted, justified or {}, INPUT.pattern, max_input)
    unpacked = unpack_apart(bundle, folder, terms)
    sent = [name for name in (*unpacked.files, *unpacked.damaged) if INPUT.fullmatch(name)]
    if len([name for name in sent if "-" not in name]) > 1 or len(sent) > MOST_INPUTS:
        raise ArchiveError(f"got {' and '.join(sent)}, expected one input")
    return unpacked


def budget(file: Path) -> int:
    """Bytes that a zip of this size may be unpacked to: ours are not compressed at all."""
    return BUDGET + BUDGET_RATIO * file.stat().st_size
