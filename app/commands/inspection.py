"""The commands that look at files: `reucid inspect` and `reucid residual`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import FrameOption, InputFile, SignalOption

WIDE = 160  # columns of a table that no terminal shows


def inspect(
    file: InputFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all metadata.")] = False,
) -> None:
    """List the images in a file: shape, type, pixel size, detector, beam energy, dwell time."""
    if not file.is_file():
        raise typer.BadParameter(f"no file at {file}", param_hint="FILE")
    from worker.decoding import forkserver

    forkserver.start()  # it loads the readers while this process loads what is below
    from rich.console import Console

    from app.commands import listing
    from worker.decoding.inspection import inspect_file
    from worker.formats.text import printable

    contents = inspect_file(file)
    if as_json:
        typer.echo(json.dumps(listing.as_dict(contents), indent=1, ensure_ascii=False))
    else:
        terminal = Console()
        width = terminal.width if terminal.is_terminal else WIDE
        terminal.print(listing.as_table(printable(file.name), contents), width=width)
        for note in listing.notes(contents):
            typer.echo(note)


def residual(
    file: InputFile,
    image: Annotated[
        Path | None, typer.Option("--of", help="The image that was denoised, to compare with.")
    ] = None,
    signal: SignalOption = None,
    frame: FrameOption = None,
) -> None:
    """Say whether a residual is what the image's noise would leave, or holds more or less.

    Also whether it is white, and whether a lattice peak stands out of its spectrum. Noise that is
    correlated leaves a residual that is not white: that is expected.

    `--signal` and `--frame` choose of the image that was denoised; without `--of`, of FILE.
    """
    for path, where in ((file, "FILE"), (image, "--of")):
        if path is not None and not path.is_file():
            raise typer.BadParameter(f"no file at {path}", param_hint=where)
    from worker.decoding import forkserver

    forkserver.start()
    from reucid_core.image import as_working_image
    from reucid_core.metrics import lattice_peak, whiteness
    from reucid_core.residuals import judge_residual
    from worker.local import read

    chosen = {"signal": signal, "frame": frame}
    found = read(file) if image is not None else read(file, **chosen)
    pixels, info = found.pixels, found.info
    if pixels.ndim != 2:
        raise typer.BadParameter(
            f"got {len(pixels)} frames, expected one image: write the residual of one, by "
            "`reucid denoise --frame N --residual FILE`",
            param_hint="FILE",
        )
    white = whiteness(pixels)
    noisy = read(image, **chosen).pixels if image is not None else None
    if noisy is not None and noisy.shape != pixels.shape:
        raise typer.BadParameter(f"got {noisy.shape}, expected {pixels.shape}", param_hint="--of")
    peak = lattice_peak(pixels, noisy)
    verdict = judge_residual(
        as_working_image(pixels, "auto"),
        None if noisy is None else as_working_image(noisy, "auto"),
    )
    doubts = verdict.doubts
    if doubts:
        typer.echo(
            "SUSPICIOUS: it holds " + "; ".join(doubts) + f" (expected: {verdict.expectation})"
        )
    else:
        typer.echo(f"as expected: {verdict.expectation}, and nothing else that repeats")
    typer.echo(
        f"whiteness: {'yes' if white.is_white else 'NO'}; largest autocorrelation outside lag 0 is "
        f"{white.largest:.4f} at lag {white.lag} px, white noise stays below {white.bound:.4f} "
        f"(99 %)"
    )
    length = f"{peak.period:.2f} px"
    if info.pixel_size and info.unit and info.pixel_size[0] == info.pixel_size[1]:
        length += f" = {peak.period * info.pixel_size[0]:.4g} {info.unit}"
    typer.echo(
        f"lattice peak: {'STANDS OUT' if peak.stands_out else 'none'}; highest peak of the power "
        f"spectrum is {peak.height:.1f} times its ring's mean at period {length}, direction "
        f"{peak.direction:.0f} degrees, white noise stays below {peak.bound:.1f} (99 %)"
        + (f"; the residual holds {peak.share:.1%} of the image's amplitude there" if image else "")
    )
