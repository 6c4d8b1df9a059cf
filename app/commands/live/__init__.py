"""`reucid live`: frames sent to a server while they are scanned.

`scanning` is the microscope, `sending` the client, `send_frames` a script that needs nothing of all
this.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Live sessions: frames denoised while they are scanned.")

SCRIPT = Path(__file__).with_name("send_frames.py")
FASTEST, SLOWEST = 100.0, 0.01  # frames/s


class Noise(StrEnum):
    """Of the detector, along the rows."""

    WHITE = "white"
    MEASURED = "measured"


class Kept(StrEnum):
    """What becomes a job at the end."""

    NOTHING = "nothing"
    LAST = "last"
    STACK = "stack"
    SUM = "sum"


@app.callback()
def _live() -> None:
    pass


@app.command()
def simulate(
    url: Annotated[str, typer.Argument(help="The server.", metavar="URL")],
    *,
    key: Annotated[
        str | None, typer.Option("--key", envvar="REUCID_API_KEY", help="Key, where it needs one.")
    ] = None,
    material: Annotated[
        str, typer.Option("--material", help="A bundled field; a wrong name lists all.")
    ] = "Si[110]",
    side: Annotated[int, typer.Option("--side", min=16, max=4096, help="Of a frame, px.")] = 512,
    rate: Annotated[
        float, typer.Option("--rate", min=SLOWEST, max=FASTEST, help="Frames a second.")
    ] = 5.0,
    dwell: Annotated[
        float | None,
        typer.Option("--dwell", min=0.001, metavar="US", help="Microseconds a pixel, not --rate."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option("--rows", min=1, help="Rows sent at a time; the whole frame.")
    ] = None,
    frames: Annotated[int, typer.Option("--frames", min=1, help="How many.")] = 100,
    drift: Annotated[float, typer.Option("--drift", min=0, help="Px a frame.")] = 0.5,
    dose: Annotated[
        float, typer.Option("--dose", min=1, help="Electrons a square angstrom.")
    ] = 100,
    noise: Annotated[Noise, typer.Option("--noise")] = Noise.MEASURED,
    then: Annotated[
        str | None, typer.Option("--then", help="Another material for the second half.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="auto, two-scale or paper.")] = "auto",
    memory: Annotated[
        float, typer.Option("--memory", min=0, help="Half-life of what was shown, in frames.")
    ] = 8.0,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Wait for the server instead of leaving out frames.")
    ] = False,
    keep: Annotated[
        Kept, typer.Option("--keep", help="What becomes a job at the end.")
    ] = Kept.LAST,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Play a microscope: scan a drifting low-dose specimen and send it row by row.

    A specimen of the bundled multislice fields. It drifts forth and back, so that after a while the
    same frames come back. A server that is too slow loses frames, as with a microscope.
    """
    from app.commands.live.scanning import specimens
    from app.commands.live.sending import Session, play

    chosen = specimens(
        [material] if then is None else [material, then],
        shape=(side, side),
        drift=drift,
        dose=dose,
        measured=noise is Noise.MEASURED,
        seed=seed,
    )
    seconds = 1 / rate if dwell is None else dwell * 1e-6 * side**2
    with Session(
        url,
        key,
        shape=(side, side),
        mode="lossless" if lossless else "latest",
        memory_frames=memory,
        method=method,
    ) as session:
        play(session, chosen, seconds=seconds, at_a_time=rows or side, number=frames)
        session.end(None if keep is Kept.NOTHING else keep.value)
    for job in session.jobs:
        typer.echo(f"job {job}")


@app.command()
def script() -> None:
    """Print a script that sends frames from any Python since 3.6, such as a microscope's own."""
    typer.echo(SCRIPT.read_text(encoding="utf-8"), nl=False)
