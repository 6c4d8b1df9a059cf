"""How networks are trained: sets of inputs, and what a search found."""

import json
from dataclasses import asdict
from pathlib import Path

from reucid_core.classifier import Architecture
from reucid_core.training.networks.fit import FitOptions

TUNED = Path(__file__).parent / "tuned.json"

VALUES = (
    "relative_singular_value",
    "log_relative_singular_value",
    "log_excess",
    "log_rank",
    "gap_above",
    "gap_below",
    "log_patch_size",
)
LOOKS = ("row_share", "column_share", "neighbours_y", "neighbours_x", "row_level", "column_level")
SPECTRAL = (
    "log_noise_gain",
    "log_shared_gain",
    "log_signal_gain",
    "log_shared_signal",
    "log_useful",
)
INPUTS = {
    "paper": ("relative_singular_value",),
    "excess": ("relative_singular_value", "log_excess"),
    "values": VALUES,
    "values and looks": VALUES + LOOKS,
    "all": VALUES + LOOKS + SPECTRAL,
}


def write_options(options: FitOptions, path: Path = TUNED) -> None:
    """Keep what a search found, for training."""
    path.write_text(json.dumps(asdict(options), indent=1, sort_keys=True) + "\n")


def read_options(path: Path = TUNED) -> FitOptions:
    """What a search found."""
    found = json.loads(path.read_text())
    architecture = Architecture.of({"architecture": found.pop("architecture")})
    return FitOptions(architecture=architecture, **found)
