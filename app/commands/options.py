"""Options that several commands take alike: what is denoised, how, and what is written of it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
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
Select = Literal["any", "leading"]  # of the eigenpatches: which ones are kept
Precision = Literal["auto", "float32", "float64"]
OutputType = Literal["float", "source"]  # of the numbers in a result
Colormap = Literal["gray", "viridis", "inferno", "magma"]
Format = Literal["tif", "mrc", "hspy", "npy", "png"]
Member = Literal["api", "dispatch", "work"]  # of a server on several machines

MIB = 2**20


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


READABLE = "DM3, DM4, SER, EMI, Velox or NCEM EMD, MRC, HSPY, TIFF, PNG, NPY or HDF5"
InputFile = Annotated[Path, typer.Argument(help=f"{READABLE}.", metavar="FILE")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there already.")
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


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """What of a file is denoised, and how; fields are named as in `DenoiseParams` and the API."""

    signal: SignalOption = None
    frame: FrameOption = None
    frames: Annotated[
        FramesMode,
        typer.Option(
            "--frames", help="Of a stack: eigenpatches of each frame, or one set for all."
        ),
    ] = "each"
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            help="two-scale: the noise is measured in the image, the lattice found in large "
            "patches and its defects in small ones; paper: as published, for white noise; auto: "
            "two-scale unless engine stacked, stacks, components or a model are stated.",
        ),
    ] = "auto"
    engine: Annotated[Engine, typer.Option("--engine", help="How the result is computed.")] = "auto"
    stacks: Annotated[
        Any,
        typer.Option(
            "--stacks",
            metavar="auto|N",
            parser=_number_or_auto("--stacks"),
            show_default="auto",
            help="Number of patch stacks, of method paper; auto: as few as the memory allows.",
        ),
    ] = None
    patch_size: Annotated[
        Any,
        typer.Option(
            "--patch-size",
            metavar="auto|P",
            parser=_number_or_auto("--patch-size"),
            show_default="auto",
            help="Side of a patch in px, odd; auto: by least estimated error, or with paper the "
            "diameter of the point-spread function.",
        ),
    ] = None
    patch_size_from: Annotated[
        str | None,
        typer.Option(
            "--patch-size-from",
            metavar="NAME",
            help="The rule that gives the patch size: autocorrelation (as paper has by default), "
            "information-limit, or one that an installed package offers.",
        ),
    ] = None
    components: Annotated[
        int | None,
        typer.Option(
            "--components",
            metavar="N",
            help="Eigenpatches offered to the classifier, of method paper.",
        ),
    ] = None
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="T", help="Utility from which an eigenpatch is kept."),
    ] = None
    select: Annotated[
        Select,
        typer.Option(
            "--select",
            help="Which eigenpatches are kept: any that reaches the threshold, or as many from the "
            "first on.",
        ),
    ] = "any"
    scan_axis: Annotated[
        ScanAxis, typer.Option("--scan-axis", help="Fast scan, for two-scale; x: along the rows.")
    ] = "auto"
    scan_noise: Annotated[
        ScanNoise,
        typer.Option(
            "--scan-noise",
            help="Whether row streaks and jitter are data or artefact; auto: keep with paper, "
            "remove with two-scale.",
        ),
    ] = "auto"
    outliers: Annotated[
        Outliers,
        typer.Option(
            "--outliers",
            help="What hot pixels, burnt-in bars and lost rows hold in the result of two-scale: "
            "raw values, or not.",
        ),
    ] = "keep"
    bias: Annotated[
        bool,
        typer.Option(
            "--bias", help="Also tell what is kept of small changes in columns; twice the time."
        ),
    ] = False
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Same seed, same result.")] = 0
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision",
            help="Numbers of the computation and of the result; auto: float32 for images of 16 or "
            "fewer bits, float64 for others.",
        ),
    ] = "auto"
    deadline: Annotated[
        float | None,
        typer.Option(
            "--deadline",
            metavar="S",
            help="Seconds after which no further stack or frame is begun and departures from the "
            "lattice are not looked for; the summary says what was left out.",
        ),
    ] = None

    def parameters(self) -> dict[str, Any]:
        """By name."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class DenoisingHere(Denoising):
    """The same on this machine, whose memory whoever runs it may divide."""

    memory: Annotated[
        int | None,
        typer.Option(
            "--memory",
            metavar="MIB",
            min=1,
            help="Working memory of one image, in MiB, of each of several at a time; by default "
            "REUCID_MEMORY_BUDGET_MIB, else of what is free.",
        ),
    ] = None

    def parameters(self) -> dict[str, Any]:
        """By name, the memory in bytes."""
        stated = super().parameters()
        memory = stated.pop("memory")
        return stated | {"memory_budget": None if memory is None else memory * MIB}


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What is written of a result, and how it looks."""

    residual: Annotated[
        Path | None,
        typer.Option("--residual", help="Also write input minus output; of many files, a folder."),
    ] = None
    departures: Annotated[
        Path | None,
        typer.Option(
            "--departures",
            help="Also write where the image is not its lattice (two-scale); of many, a folder.",
        ),
    ] = None
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            help="Also write the classification report (JSON); of many files, a folder.",
        ),
    ] = None
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            help="Also write everything in one file, for `reucid verify`; of many, a folder.",
        ),
    ] = None
    interim_dir: Annotated[
        Path | None,
        typer.Option(
            "--interim-dir",
            help="Also write the result as it grows: after each stack of patches (engine stacked), "
            "the lattice before what departs from it (two-scale), or each frame of a stack.",
        ),
    ] = None
    format: Annotated[
        Format | None,
        typer.Option("--format", help="Of results in a folder; tif if left out."),
    ] = None
    dtype: Annotated[
        OutputType,
        typer.Option("--dtype", help="source: rounded and clipped to the type of the input."),
    ] = "float"
    colormap: Annotated[Colormap, typer.Option("--colormap", help="Colours of a .png.")] = "gray"
    percentiles: Annotated[
        str,
        typer.Option(
            "--percentiles", metavar="LOW,HIGH", help="Shown darkest and brightest in a .png."
        ),
    ] = "0.1,99.9"
    scalebar: Annotated[bool, typer.Option("--scalebar", help="Below a .png.")] = False


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME|FILE", help="Classifier: its name, or a .safetensors file."
    ),
]
