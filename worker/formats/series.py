"""Numbers of the SER files that belong to an EMI file: 12 for NAME_12.ser."""

import re
from collections.abc import Sequence
from pathlib import Path

NUMBER = re.compile(r"[0-9]{1,4}")
SER = re.compile(r"(.+)_([0-9]{1,9})\.ser", re.IGNORECASE)
IN_EMI = re.compile(rb"_([0-9]{1,6})\.ser", re.IGNORECASE)


def series_number(name: str) -> int | None:
    """The number that ends a name, with its suffix or without; None when there is none."""
    stem = name[:-4] if name.lower().endswith(".ser") else name
    last = re.split(r"[_-]", stem)[-1]
    return int(last) if NUMBER.fullmatch(last) and last != stem else None


def series_numbers(names: Sequence[str]) -> list[int]:
    """The number of each, or its place from 1 when they are not told apart by numbers."""
    numbers = [number for name in names if (number := series_number(name)) is not None]
    return numbers if len(set(numbers)) == len(names) else list(range(1, len(names) + 1))


def owner_of_series(name: str) -> tuple[str, int] | None:
    """The EMI file that a SER file belongs to by TIA's rule, and its number in it.

    `a.emi` and 2 for `A_2.ser`, in small letters; None for other names.
    """
    match = SER.fullmatch(name)
    return (f"{match[1]}.emi".lower(), int(match[2])) if match else None


def numbered(series: Sequence[Path]) -> list[tuple[int, Path]]:
    """Files in the order of their numbers, each with its number."""
    numbers = series_numbers([each.name for each in series])
    return sorted(zip(numbers, series, strict=True))


def named_in(emi: bytes) -> list[int]:
    """The numbers of the SER files that a part of an EMI file names, in its order."""
    return [int(number) for number in IN_EMI.findall(emi)]
