"""Inputs as the field has them, and what is right of each."""

from tests.support.field import (
    offsets,
    order,
    parts,
    roles,
    units,
    unknown,
    unreadable,
    wild,
    written,
)
from tests.support.field.cases import CASES, KINDS, Case

__all__ = [
    "CASES",
    "KINDS",
    "Case",
    "offsets",
    "order",
    "parts",
    "roles",
    "units",
    "unknown",
    "unreadable",
    "wild",
    "written",
]
