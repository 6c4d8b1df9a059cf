"""The tags of a TIFF page, read so that none of them can condemn the page."""

from collections.abc import Iterator, Mapping
from typing import Any

import tifffile

from worker.formats.text import decoded

ZEISS, OLYMPUS, TVIPS = 34118, (33560, 33471), 37706
FEI = (34680, 34682, 34683)  # INI, or XML
PROGRAMS = {ZEISS, *OLYMPUS, TVIPS, *FEI}  # tags that microscopes' programs have for themselves
LONGEST = 2**17  # bytes of one of them, which are parsed line by line


def step(page: tifffile.TiffPage, name: str) -> float | None:
    """Between pixels, of a resolution in pixels per unit."""
    ratio = value(page, name)
    if not isinstance(ratio, tuple) or len(ratio) != 2:
        return None
    per_unit = quotient(*ratio)
    return 1 / per_unit if per_unit else None


def quotient(one: Any, other: Any) -> float | None:
    """Of two numbers; None where they are none."""
    try:
        return float(one) / float(other)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def section(stated: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of an INI file; empty where there is none."""
    found = stated.get(name)
    return found if isinstance(found, Mapping) else {}


def value(page: tifffile.TiffPage, tag: str | int) -> Any:
    """A tag's value; None where it is missing, cannot be read, or is too long for what it is."""
    found = page.tags.get(tag)
    if found is not None and found.code in PROGRAMS and found.count > LONGEST:
        return None
    try:
        return page.tags.valueof(tag)
    except Exception:
        return None


def text(page: tifffile.TiffPage, code: int) -> str:
    """The bytes of a tag that tifffile takes for an INI file."""
    tag = page.tags.get(code)
    if tag is None or tag.count > LONGEST:
        raise ValueError("no such tag, or one that is too long")
    handle = page.parent.filehandle
    handle.seek(tag.valueoffset)
    return decoded(handle.read(tag.count)).strip("\0 \r\n")


def texts(page: tifffile.TiffPage) -> Iterator[tuple[str, Any]]:
    """What a page says of itself, by who says it."""
    plain = ("ImageDescription", "PageName", "Software", "DateTime", "Artist", "Make", "Model")
    for name in (*plain, "HostComputer"):
        if stated := value(page, name):
            yield name, stated
    for name, codes in (("fei", FEI), ("sis", OLYMPUS), ("sem", (ZEISS,))):
        for code in codes:
            if isinstance(stated := value(page, code), Mapping) and stated:
                yield name, dict(stated)
