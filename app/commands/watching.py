"""`reucid watch`: the images that a microscope saves to a folder, as they come."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.denoising import Jobs, cores
from app.commands.grouped import grouped
from app.commands.options import Denoising, ModelOption, Writing

SETTLE, EVERY = 10.0, 2.0  # s


@grouped
def watch(
    folder: Annotated[Path, typer.Argument(help="The folder to watch.", metavar="FOLDER")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the results.", metavar="FOLDER")
    ],
    *,
    writing: Writing,
    denoising: Denoising,
    model: ModelOption = None,
    jobs: Jobs = None,
    settle: Annotated[
        float,
        typer.Option(
            "--settle",
            metavar="S",
            min=0,
            help="Seconds for which a file does not change before it counts as complete.",
        ),
    ] = SETTLE,
    every: Annotated[
        float, typer.Option("--every", metavar="S", min=0.1, help="Seconds from look to look.")
    ] = EVERY,
) -> None:
    """Denoise what is saved to a folder, also to one on a network, until Ctrl-C.

    Each file once it is complete; an EMI file waits for its series. What is done is written down in
    the folder of the results, so a watch that is started again goes on. Results are never replaced.
    """
    from app.commands.batch import ordering, watching

    order = ordering.order_of(output, writing, denoising, model, overwrite=False)
    watching.run(folder, order, jobs=jobs or cores(), settle=settle, every=every)
