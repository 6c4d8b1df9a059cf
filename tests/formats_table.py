"""`python -m tests.formats_table DIR` writes the tables in docs/formats.md; real files in DIR."""

import argparse
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.field import CASES, KINDS
from tests.support.places import ROOT
from worker import formats
from worker.contract import ImageInfo
from worker.decoding.inspection import companions_of
from worker.formats import FORMATS, reading
from worker.formats.catalogue import Format
from worker.formats.units import in_nanometres

DOCUMENT = ROOT / "docs" / "formats.md"
BLOCK = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end of table -->)", re.DOTALL)
KINDS_BLOCK = re.compile(r"(?<=<!-- kinds -->\n).*?(?=<!-- end of kinds -->)", re.DOTALL)
MAX_PIXELS = 2**28
KEEPING = [each.name for each in FORMATS if each.writes and each.calibration]


@dataclass
class Tried:
    """What the real files of one format showed."""

    files: int = 0
    calibrated: int = 0
    stacks: int = 0


def render(folder: Path) -> str:
    """The table, from the formats as they are and every file of a folder."""
    tried: dict[str, Tried] = defaultdict(Tried)
    for path in sorted(folder.iterdir()):
        decoded = reading.read(path, max_pixels=MAX_PIXELS, companions=companions_of(path))
        found = tried[decoded.info.format]
        found.files += 1
        default = decoded.info.default or 0
        info = decoded.info.signals[default]
        found.stacks += len(info.shape) == 3
        found.calibrated += _is_kept(decoded.pixels[default], info)
    return "".join(_lines(tried))


def rendered_document(folder: Path) -> str:
    """The document with its table of formats made anew."""
    table = render(folder)
    return BLOCK.sub(lambda _: table, DOCUMENT.read_text(encoding="utf-8"))


def with_kinds(document: str) -> str:
    """A document with its table of kinds made anew, for which every input is tried."""
    table = "".join(_kinds())
    return KINDS_BLOCK.sub(lambda _: table, document)


def _kinds() -> Iterator[str]:
    names = [each.name for each in FORMATS if any(case.format == each.name for case in CASES)]
    yield f"| what comes out right | {' | '.join(f'`{name}`' for name in names)} |\n"
    yield f"|---|{'---|' * len(names)}\n"
    for kind, title in KINDS.items():
        cells = [str(_right(kind, name) or "") for name in names]
        yield f"| {title} | {' | '.join(cells)} |\n"


def _right(kind: str, format_: str) -> int:
    """How many inputs of a kind come out right in a format."""
    chosen = [case for case in CASES if (case.kind, case.format) == (kind, format_)]
    for case in chosen:
        with tempfile.TemporaryDirectory() as folder:
            case.run(Path(folder))
    return len(chosen)


def _is_kept(pixels: np.ndarray, info: ImageInfo) -> bool:  # type: ignore[type-arg]
    """Whether a calibrated image keeps its calibration in every format that can hold it."""
    if info.pixel_size is None:
        return False
    before = in_nanometres(info.pixel_size, info.unit)
    with tempfile.TemporaryDirectory() as folder:
        for format_ in KEEPING:
            path = Path(folder) / "out"
            formats.write(path, pixels.astype(np.float32), info, format_)
            after = reading.read(path, max_pixels=MAX_PIXELS).info.signals[0]
            sides = in_nanometres(after.pixel_size or (0.0, 0.0), after.unit)
            np.testing.assert_allclose(sides, before, rtol=1e-6)
    return True


def _lines(tried: dict[str, Tried]) -> Iterator[str]:
    yield "| format | read | write | calibration kept | multi-frame | metadata | real files |\n"
    yield "|---|---|---|---|---|---|---|\n"
    for each in FORMATS:
        cells = (each.reads, each.writes, each.calibration, each.frames, each.metadata)
        marks = " | ".join("yes" if cell else "no" for cell in cells)
        names = ", ".join(f"`{suffix}`" for suffix in each.suffixes)
        yield f"| {each.title} ({names}) | {marks} | {_tested(each, tried)} |\n"


def _tested(each: Format, tried: dict[str, Tried]) -> str:
    found = tried.get(each.name)
    if found is None:
        return "none"
    parts = [f"{found.calibrated} calibrated"] if found.calibrated else []
    parts += [f"{found.stacks} a stack"] if found.stacks else []
    return f"{found.files}" + (f" ({', '.join(parts)})" if parts else "")


def main() -> None:
    """Rewrite the document."""
    parser = argparse.ArgumentParser(prog="python -m tests.formats_table", description=__doc__)
    parser.add_argument("folder", type=Path, help="real files, one of each kind or more")
    document = with_kinds(rendered_document(parser.parse_args().folder))
    DOCUMENT.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
