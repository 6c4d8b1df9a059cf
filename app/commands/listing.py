"""What is in a file, as a person or a program reads it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from worker.contract import FileInfo, ImageInfo
from worker.denoising.reports import frame_reports, is_of_stack

HEADINGS = (
    *("", "title", "shape", "type", "pixel", "origin", "frames"),
    *("detector", "beam", "dwell", "dose"),
)


def as_table(name: str, contents: FileInfo) -> Table:
    """The image signals of a file, one a row; columns that would be empty are left out."""
    table = Table(
        title=escape(f"{name} ({contents.format})"),
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    rows = [_cells(index, info, contents) for index, info in enumerate(contents.signals)]
    columns = [n for n in range(len(HEADINGS)) if any(row[n] for row in rows)]
    for n in columns:
        table.add_column(HEADINGS[n], overflow="fold")
    for row in rows:
        table.add_row(*(escape(row[n]) for n in columns))
    return table


def notes(contents: FileInfo) -> list[str]:
    """What the table does not say."""
    skipped = [f"skipped {each.title!r}: {each.reason}" for each in contents.skipped]
    doubts = [
        f"{index} {info.title!r}: {note}"
        for index, info in enumerate(contents.signals)
        for note in info.notes
    ]
    return doubts + skipped + ([_choice(contents)] if len(contents.signals) > 1 else [])


def _choice(contents: FileInfo) -> str:
    if contents.default is None:
        return "nothing says which is the image: name one with --signal"
    return "* is denoised when no --signal is given"


def as_dict(contents: FileInfo) -> dict[str, Any]:
    """The same, and the metadata, for programs."""
    return asdict(contents)


def assessed(report: dict[str, Any]) -> list[str]:
    """What a report says of the result's quality beside its warnings, in sentences."""
    return [text for text in report["verdict"] if text not in report["warnings"]]


def summary(report: dict[str, Any]) -> str:
    """What a report says, in one line."""
    reports = frame_reports(report)
    kept = sorted(sum(map(sum, _kept(each))) for each in reports)
    sizes = sorted({each["patch_size"] for each in reports})
    first = reports[0]
    method = first["method"] + ("" if first["method_reason"] == "stated" else " (auto)")
    if is_of_stack(report):
        return (
            f"{method}, {report['frames_done']} of {report['shape'][0]} frames "
            f"({report['frames']}), patch size {_range(sizes)} px, "
            f"kept {_range(kept)} of {first['components']} eigenpatches, "
            f"{sum(report['seconds'].values()):.2f} s"
        )
    apart = f", {first['spacing']} px apart" if first["spacing"] > 1 else ""
    each_stack = " + ".join(str(sum(stack)) for stack in _kept(first))
    return (
        f"{method}, patch size {first['patch_size']} px ({first['patch_size_origin']}{apart}), "
        f"{first['stacks']} stack(s), kept {each_stack} of {first['components']} eigenpatches, "
        f"{sum(first['seconds'].values()):.2f} s"
    )


def _kept(report: Mapping[str, Any]) -> list[list[bool]]:
    return [stack["kept"] for stack in report["stack_reports"]]


def _range(numbers: list[int]) -> str:
    low, high = numbers[0], numbers[-1]
    return str(low) if low == high else f"{low} to {high}"


def _cells(index: int, info: ImageInfo, contents: FileInfo) -> list[str]:
    marked = index == contents.default and len(contents.signals) > 1
    return [
        f"{index}*" if marked else str(index),
        info.title,
        "x".join(str(side) for side in info.shape),
        info.dtype,
        _pixel(info),
        _origin(info),
        _step(info),
        info.detector or "",
        "" if info.beam_energy is None else f"{info.beam_energy:g} keV",
        "" if info.dwell_time is None else f"{info.dwell_time * 1e6:.4g} µs",
        "" if info.dose is None else f"{info.dose:.2g} e/Å²",
    ]


def _pixel(info: ImageInfo) -> str:
    if info.pixel_size is None:
        return "uncalibrated"
    height, width = (f"{side:.5g}" for side in info.pixel_size)
    return f"{width} {info.unit}" if height == width else f"{height} x {width} {info.unit}"


def _origin(info: ImageInfo) -> str:
    """Row and column of the first pixel."""
    return "" if info.origin is None else f"{info.origin[0]:.5g}, {info.origin[1]:.5g} {info.unit}"


def _step(info: ImageInfo) -> str:
    if len(info.shape) != 3:
        return ""
    if not info.frame_step:
        return "uncalibrated"
    first = "" if info.frame_origin is None else f" from {info.frame_origin:g}"
    return f"every {info.frame_step:g} {info.frame_unit}{first}"
