"""`reucid reproduce`: the paper's figures and Table 1 by one command."""

import shlex
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import Overwrite
from app.commands.outputs import make_folder, refuse_existing

if TYPE_CHECKING:
    from reucid_core.eigenpatches import FloatArray
    from reucid_core.training.reproduction.parts import Part

NEEDED = {"matplotlib": "plots", "skimage": "laboratory"}  # modules and the extras that bring them


def reproduce(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the page, pictures and CSV.")
    ] = Path("reproduction"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="One of fig2, fig4, fig5, fig6, fig7, table1 alone; repeatable.",
        ),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--beside",
            metavar="FILE",
            help="What another program, such as a trained network, made of fig6-noisy.tif, which "
            "Fig. 6 writes; in its units; repeatable.",
        ),
    ] = None,
    micrographs: Annotated[
        list[Path] | None,
        typer.Option(
            "--micrograph", metavar="FILE", help="Real image for Fig. 7 as well; repeatable."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make the paper's Figs. 2, 4, 5, 6, 7 and Table 1 anew, from bundled simulated fields.

    Minutes on two cores. Needs the extras `plots` and `laboratory`; BM3D joins in with `bench`.
    """
    from reucid_core.training.reproduction.parts import NAMES

    unknown = sorted(set(only or ()) - set(NAMES))
    if unknown:
        message = f"got {', '.join(unknown)}, expected {', '.join(NAMES)}"
        raise typer.BadParameter(message, param_hint="--only")
    _check_installed()
    files = [*(beside or ()), *(micrographs or ())]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise typer.BadParameter(f"no file at {', '.join(missing)}", param_hint="--micrograph")
    _check_names(beside or (), "--beside")
    _check_names(micrographs or (), "--micrograph")
    names = [name for name in NAMES if not only or name in only]
    make_folder(output, "--output")
    there = [path for name in names for path in sorted(output.glob(f"{name}*"))]
    refuse_existing([output / "index.html", *there], overwrite=overwrite)
    raw = _read(micrographs or ())
    others = {Path(name).stem: image for name, image in _read(beside or ()).items()}
    from reucid_core.training.reproduction.making import reproduce as make

    page = make(
        output,
        names,
        beside=others,
        micrographs=raw,
        command=shlex.join(["reucid", *sys.argv[1:]]),
        progress=_print_part,
    )
    typer.echo(f"Look at {page}")


def _check_installed() -> None:
    lacking = {extra: name for name, extra in NEEDED.items() if find_spec(name) is None}
    if lacking:
        raise typer.BadParameter(
            f"{' and '.join(lacking.values())} not installed: install the extra"
            f"{'s' * (len(lacking) > 1)} {' and '.join(lacking)}"
        )


def _check_names(files: Sequence[Path], option: str) -> None:
    """What is made of a file is named by it."""
    stems = [file.stem for file in files]
    if len(set(stems)) < len(stems):
        message = f"got two files of one name, {', '.join(stems)}, expected different names"
        raise typer.BadParameter(message, param_hint=option)


def _read(files: Sequence[Path]) -> "dict[str, FloatArray]":
    from worker.denoising.selection import Selection, read_image

    return {file.name: read_image(file, Selection())[0] for file in files}


def _print_part(part: "Part", seconds: float) -> None:
    typer.echo(f"{part.title}: {seconds:.0f} s")
