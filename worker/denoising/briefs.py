"""What workers that share a stack tell each other, in files: numbers and arrays, no code.

An .npz file of all arrays and, as JSON, of the dataclasses that hold them. The same content makes
the same bytes.
"""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reucid_core.eigenpatches import Decomposition
from reucid_core.exact import Sums
from reucid_core.joint import Correlations, Grams, NoNoise, OneScale, Shared, TwoScales, Wanted
from reucid_core.lattice import Lattice
from reucid_core.noise import NoiseModel
from reucid_core.params import DenoiseParams
from reucid_core.plan import Plan, Way
from reucid_core.psf import PatchSize
from reucid_core.recovery import Details
from reucid_core.report import StackReport
from reucid_core.scales import WhitenedGrams

BRIEF, SUMS = "brief.npz", "sums.npz"
Content = Wanted | Shared | Sums
KNOWN: dict[str, Any] = {
    each.__name__: each
    for each in (
        *(Correlations, Grams, WhitenedGrams, Sums, Shared, OneScale, TwoScales, NoNoise),
        *(DenoiseParams, Decomposition, Details, Lattice, NoiseModel, PatchSize, Plan),
        *(StackReport, Way),
    )
}


def write(path: Path, content: Content, made_with: dict[str, Any]) -> None:
    """Write what is told into a new file, and the libraries and classifier it was made with."""
    arrays: list[np.ndarray[Any, Any]] = []
    told = {"made_with": made_with, "content": _tree(content, arrays)}
    text = json.dumps(told).encode()
    named = {f"array{k}": array for k, array in enumerate(arrays)}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, content=np.frombuffer(text, np.uint8), **named)


def read(path: Path) -> tuple[Any, dict[str, Any]]:
    """What was told in a file whose digest has been checked, and what it was made with."""
    with np.load(path) as held:
        told = json.loads(held["content"].tobytes())
        return _value(told["content"], held), told["made_with"]


def _tree(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if is_dataclass(value):
        has = {each.name: _tree(getattr(value, each.name), arrays) for each in fields(value)}
        return {"is": KNOWN[type(value).__name__].__name__, "has": has}
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, tuple):
        return {"tuple": [_tree(each, arrays) for each in value]}
    if isinstance(value, list):
        return [_tree(each, arrays) for each in value]
    if isinstance(value, dict):
        return {"dict": {name: _tree(each, arrays) for name, each in value.items()}}
    return value.item() if isinstance(value, np.generic) else value


def _value(tree: Any, held: Any) -> Any:
    if isinstance(tree, list):
        return [_value(each, held) for each in tree]
    if not isinstance(tree, dict):
        return tree
    if "is" in tree:
        has = {name: _value(each, held) for name, each in tree["has"].items()}
        return KNOWN[tree["is"]](**has)
    if "array" in tree:
        return held[f"array{tree['array']}"]
    if "tuple" in tree:
        return tuple(_value(each, held) for each in tree["tuple"])
    return {name: _value(each, held) for name, each in tree["dict"].items()}
