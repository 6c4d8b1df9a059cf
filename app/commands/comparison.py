"""`reucid compare`: which method suits a microscope, by its own repeated frames."""

import csv
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.options import Overwrite
from app.commands.outputs import check_outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reucid_core.repeated import Repeated, Score

    Denoise = Callable[[NDArray[Any]], NDArray[Any]]

NAMES = ("raw", "gaussian", "bm3d", "paper", "two-scale")
WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)  # px, of the Gaussians that are tried
COLUMNS = ("method", "upsnr_dB", "standard_error_dB", "gain_dB", "seconds_per_frame", "note")


def compare(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FRAMES...", help="A stack of frames of the same, or their files."),
    ],
    methods: Annotated[
        str, typer.Option("--methods", metavar="A,B,...", help="Which are compared.")
    ] = ",".join(NAMES),
    most: Annotated[
        int, typer.Option("--most", min=3, help="Frames that are used, the first ones.")
    ] = 12,
    align: Annotated[
        bool, typer.Option("--align/--no-align", help="Whether drift between frames is undone.")
    ] = True,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="CSV", help="Also write a table.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare methods without a truth: by how well each frame, denoised, predicts the others.

    The frames have to show the same, each with noise of its own. The score is the unsupervised
    PSNR of arXiv 2210.05553: it is unbiased, and higher is better.
    """
    from reucid_core.repeated import Repeated

    names = _names(methods)
    if output is not None:
        check_outputs(files, [], [output], overwrite=overwrite)
    frames = _frames(files)[:most]
    repeated = Repeated.of(frames, align=align)
    furthest = float(abs(repeated.drift).max())
    typer.echo(
        f"{len(frames)} frames of {frames.shape[1]} x {frames.shape[2]} px, noise "
        f"{repeated.noise:.4g} of a range of {repeated.peak:.4g}, drift up to {furthest:.1f} px"
    )
    rows = [_row(name, frames, repeated) for name in names]
    _show(rows)
    if output is not None:
        with output.open("w", newline="", encoding="utf-8") as table:
            writer = csv.writer(table)
            writer.writerow(COLUMNS)
            writer.writerows(rows)


def _names(text: str) -> list[str]:
    """The methods that are named, the raw frames always first."""
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in NAMES]:
        raise typer.BadParameter(
            f"got {', '.join(unknown)}, expected some of {', '.join(NAMES)}",
            param_hint="--methods",
        )
    return list(dict.fromkeys(("raw", *names)))


def _frames(files: list[Path]) -> "NDArray[Any]":
    """All frames of the same, shape (k, m, n)."""
    for file in files:
        if not file.is_file():
            raise typer.BadParameter(f"no file at {file}", param_hint="FRAMES")
    from worker.decoding import forkserver

    forkserver.start()
    import numpy as np

    from worker.local import read

    found = [read(file).pixels for file in files]
    if len({pixels.shape[-2:] for pixels in found}) > 1:
        shapes = ", ".join(str(pixels.shape) for pixels in found)
        message = f"got images of {shapes}, expected frames of one size"
        raise typer.BadParameter(message, param_hint="FRAMES")
    return np.concatenate([pixels.reshape(-1, *pixels.shape[-2:]) for pixels in found])


def _row(name: str, frames: "NDArray[Any]", repeated: "Repeated") -> tuple[Any, ...]:
    """What is told of a method, in the order of `COLUMNS`."""
    if name == "bm3d" and find_spec("bm3d") is None:
        return (name, None, None, None, None, "not installed")
    if name == "gaussian":
        width, score, seconds = _best_gaussian(frames, repeated)
        return _told(name, score, seconds, f"{width:g} px, the best of {len(WIDTHS)}", repeated)
    note = f"told the noise, {repeated.noise:.4g}" if name == "bm3d" else ""
    denoise = _method(name, repeated.noise)
    start = time.perf_counter()
    images = [denoise(frame) for frame in frames]
    seconds = (time.perf_counter() - start) / len(frames)
    return _told(name, repeated.score(images), seconds, note, repeated)


def _told(
    name: str, score: "Score", seconds: float, note: str, repeated: "Repeated"
) -> tuple[Any, ...]:
    if score.psnr is None or score.error is None:
        note = f"{note}; better than these frames can tell".removeprefix("; ")
        return (name, None, None, None, round(seconds, 4), note)
    import numpy as np

    gain = score.psnr - 20 * np.log10(repeated.peak / repeated.noise)
    told = (round(score.psnr, 3), round(score.error, 3), round(float(gain), 3), round(seconds, 4))
    return (name, *told, note)


def _best_gaussian(frames: "NDArray[Any]", repeated: "Repeated") -> "tuple[float, Score, float]":
    """The width of best score, that score, and the seconds of a frame."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    start = time.perf_counter()
    scores = {
        width: repeated.score([gaussian_filter(each.astype(np.float64), width) for each in frames])
        for width in WIDTHS
    }
    seconds = (time.perf_counter() - start) / len(frames) / len(WIDTHS)

    def height(width: float) -> float:
        psnr = scores[width].psnr
        return np.inf if psnr is None else psnr

    best = max(WIDTHS, key=height)
    return best, scores[best], seconds


def _method(name: str, noise: float) -> "Denoise":
    import numpy as np

    if name == "raw":
        return lambda frame: frame.astype(np.float64)
    if name == "bm3d":
        import bm3d

        return lambda frame: np.asarray(bm3d.bm3d(frame.astype(np.float64), noise))
    from reucid_core import DenoiseParams, denoise
    from worker.denoising.model_files import Models
    from worker.denoising.model_loading import judge_of
    from worker.denoising.params import JobParams
    from worker.settings import Settings

    params = DenoiseParams(method="paper" if name == "paper" else "two-scale")
    classify = judge_of(Models.of(Settings()), JobParams(denoising=params))
    return lambda frame: denoise(frame, params, classify=classify).image


def _show(rows: list[tuple[Any, ...]]) -> None:
    typer.echo(f"{'method':10s} {'uPSNR dB':>14s} {'gain dB':>8s} {'s/frame':>8s}")
    for name, psnr, error, gain, seconds, note in rows:
        score = "-" if psnr is None else f"{psnr:.2f} ± {error:.2f}"
        told = "-" if gain is None else f"{gain:+.2f}"
        took = "-" if seconds is None else f"{seconds:.2f}"
        typer.echo(f"{name:10s} {score:>14s} {told:>8s} {took:>8s}  {note}".rstrip())
