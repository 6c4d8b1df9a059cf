"""Options that several commands take alike: of what is denoised, and how."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

# As the core and the formats have them, which would take long to import here.
Method = Literal["auto", "two-scale", "paper"]
Engine = Literal["auto", "exact", "stacked"]
FramesMode = Literal["each", "joint"]  # whether frames share their eigenpatches
ScanAxis = Literal["auto", "x", "y"]  # along which the fast scan runs
Outliers = Literal["keep", "repair"]
ScanNoise = Literal["auto", "keep", "remove"]
OutputType = Literal["float", "source"]  # of the numbers in a result
Colormap = Literal["gray", "viridis", "inferno", "magma"]


def _number_or_auto(name: str) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        if text == "auto":
            return None
        try:
            return int(text)
        except ValueError:
            message = f"got {text!r}, expected 'auto' or an integer"
            raise typer.BadParameter(message, param_hint=name) from None

    return parse


def _signal(text: str) -> int | str:
    return int(text) if text.isdigit() else text


InputFile = Annotated[
    Path,
    typer.Argument(
        help="DM3, DM4, SER, EMI, Velox or NCEM EMD, MRC, HSPY, TIFF, PNG or NPY.", metavar="FILE"
    ),
]
SignalOption = Annotated[
    Any,
    typer.Option(
        "--signal",
        metavar="N|TITLE",
        parser=_signal,
        help="Image signal of the file, from 0 or by its title; see `reucid inspect`.",
    ),
]
FrameOption = Annotated[
    int | None, typer.Option("--frame", metavar="N", min=0, help="One frame of a stack, from 0.")
]
FramesOption = Annotated[
    FramesMode,
    typer.Option("--frames", help="Of a stack: eigenpatches of each frame, or one set for all."),
]
PatchSize = Annotated[
    Any,
    typer.Option(
        "--patch-size",
        metavar="auto|P",
        parser=_number_or_auto("--patch-size"),
        help="Side of a patch in px, odd; auto: by least estimated error, or with paper the "
        "diameter of the point-spread function.",
    ),
]
Stacks = Annotated[
    Any,
    typer.Option(
        "--stacks",
        metavar="auto|N",
        parser=_number_or_auto("--stacks"),
        help="Number of patch stacks, of method paper; auto: as few as the memory allows.",
    ),
]
EngineOption = Annotated[Engine, typer.Option("--engine", help="How the result is computed.")]
Components = Annotated[
    int | None,
    typer.Option(
        "--components", metavar="N", help="Eigenpatches offered to the classifier, of method paper."
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", metavar="T", help="Utility from which an eigenpatch is kept."),
]
MethodOption = Annotated[
    Method,
    typer.Option(
        "--method",
        help="two-scale: the noise is measured in the image, the lattice found in large patches "
        "and its defects in small ones; paper: as published, for white noise; auto: two-scale "
        "unless engine stacked, stacks, components or a model are stated.",
    ),
]
ScanAxisOption = Annotated[
    ScanAxis, typer.Option("--scan-axis", help="Fast scan, for two-scale; x: along the rows.")
]
ScanNoiseOption = Annotated[
    ScanNoise,
    typer.Option(
        "--scan-noise",
        help="Whether row streaks and jitter are data or artefact; auto: keep with paper, remove "
        "with two-scale.",
    ),
]
OutliersOption = Annotated[
    Outliers,
    typer.Option(
        "--outliers",
        help="What hot pixels, burnt-in bars and lost rows hold in the result of two-scale: raw "
        "values, or not.",
    ),
]
BiasOption = Annotated[
    bool,
    typer.Option(
        "--bias", help="Also tell what is kept of small changes in columns; twice the time."
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="Same seed, same result.")]


def parameters(
    method: Method,
    scan_axis: ScanAxis,
    scan_noise: ScanNoise,
    outliers: Outliers,
    bias: bool,
    engine: Engine,
    stacks: int | None,
    patch_size: int | None,
    components: int | None,
    threshold: float | None,
    seed: int,
) -> dict[str, Any]:
    """What both `denoise` and `submit` take, by the names of `DenoiseParams` and of the API."""
    return {
        "method": method,
        "scan_axis": scan_axis,
        "scan_noise": scan_noise,
        "outliers": outliers,
        "bias": bias,
        "engine": engine,
        "patch_size": patch_size,
        "stacks": stacks,
        "components": components,
        "threshold": threshold,
        "seed": seed,
    }
