"""A job's parameters, told apart by what takes them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

Taker = TypeVar("Taker")


def take(taker: type[Taker], params: Mapping[str, Any]) -> tuple[Taker, dict[str, Any]]:
    """A dataclass made of the parameters that it has fields for, and the other parameters.

    What is missing, as in a ledger that is older than a parameter, has its default.
    """
    names = {field.name for field in fields(taker)}  # type: ignore[arg-type]
    mine = {name: value for name, value in params.items() if name in names}
    return taker(**mine), {name: v for name, v in params.items() if name not in names}
