"""How much is kept of what a file says beside its pixels: one budget for the whole file.

It is copied into every record and answer that is about the file, so a small file of many signals
must not become a large one there.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from worker.contract import FileInfo, ImageInfo

OF_DEFAULT = 64 * 2**10  # bytes of JSON kept of the default signal's metadata
OF_OTHERS = 192 * 2**10  # of all others', shared equally
LONGEST_TEXT = 200  # characters of a title, a unit or a detector
LONGEST_REASON = 500
MOST_SKIPPED = 64
MOST_NOTES = 16
CUT = {"truncated": True}


def within_budget(info: FileInfo) -> FileInfo:
    """The same, cut to the budget; metadata that were cut say so."""
    of_one = OF_DEFAULT if info.default is not None else 0
    share = (OF_DEFAULT + OF_OTHERS - of_one) // max(1, len(info.signals) - bool(of_one))
    return replace(
        info,
        signals=tuple(
            _signal(each, of_one if index == info.default else share)
            for index, each in enumerate(info.signals)
        ),
        skipped=tuple(
            replace(each, title=each.title[:LONGEST_TEXT], reason=each.reason[:LONGEST_REASON])
            for each in info.skipped[:MOST_SKIPPED]
        ),
    )


def _signal(info: ImageInfo, room: int) -> ImageInfo:
    texts: dict[str, Any] = {
        name: text[:LONGEST_TEXT]
        for name in ("title", "unit", "frame_unit", "detector")
        if (text := getattr(info, name)) is not None
    }
    notes = tuple(note[:LONGEST_REASON] for note in info.notes[:MOST_NOTES])
    return replace(info, metadata=_cut(info.metadata, room), notes=notes, **texts)


def _cut(metadata: Mapping[str, Any], room: int) -> dict[str, Any]:
    """As many of the entries, and of those within the one that does not fit, as there is room."""
    if _size(metadata) <= room:
        return dict(metadata)
    kept: dict[str, Any] = dict(CUT)
    left = room - _size(CUT)
    for name, value in metadata.items():
        size = _size({name: value})
        if size > left and isinstance(value, Mapping) and left > 2 * _size({name: CUT}):
            value = _cut(value, left - _size({name: ""}))
            size = _size({name: value})
        if size <= left:
            kept[name] = value
            left -= size
    return kept


def _size(value: Any) -> int:
    return len(json.dumps(value))
