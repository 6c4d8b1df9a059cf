"""`reucid submit`: an image to a server, and everything that comes of it back."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import (
    BiasOption,
    Components,
    EngineOption,
    FrameOption,
    FramesOption,
    InputFile,
    MethodOption,
    OutliersOption,
    PatchSize,
    ScanAxisOption,
    ScanNoiseOption,
    Seed,
    SignalOption,
    Stacks,
    Threshold,
    parameters,
)
from app.commands.outputs import make_folder

INPUT_CODES = ("invalid_image", "invalid_parameter", "canceled")  # of jobs that failed for those


def submit(
    file: InputFile,
    server: Annotated[
        str, typer.Option("--server", help="The server's address.")
    ] = "http://127.0.0.1:8000",
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job to its end.")] = False,
    output_dir: Annotated[
        Path | None,
        typer.Option("-o", "--output-dir", help="With --wait: folder for everything it yields."),
    ] = None,
    signal: SignalOption = None,
    frame: FrameOption = None,
    frames: FramesOption = "each",
    method: MethodOption = "auto",
    engine: EngineOption = "auto",
    stacks: Stacks = "auto",
    patch_size: PatchSize = "auto",
    components: Components = None,
    threshold: Threshold = None,
    scan_axis: ScanAxisOption = "auto",
    scan_noise: ScanNoiseOption = "auto",
    outliers: OutliersOption = "keep",
    bias: BiasOption = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="Classifier, by its name in the server's GET /v1/models.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Send an image to a server, with the key in REUCID_API_KEY if it wants one.

    An EMI file is sent with the SER files beside it.
    """
    from app.commands.client import Client, ClientError
    from app.commands.progress import follow
    from worker.decoding.inspection import companions_of
    from worker.settings import Settings

    if not file.is_file():
        raise typer.BadParameter(f"no file at {file}", param_hint="FILE")
    if output_dir is not None:
        make_folder(output_dir, "--output-dir")
    if output_dir is not None and not wait:
        message = "needs --wait: there is nothing to write before the job is done"
        raise typer.BadParameter(message, param_hint="--output-dir")
    params = parameters(
        method,
        scan_axis,
        scan_noise,
        outliers,
        bias,
        engine,
        stacks,
        patch_size,
        components,
        threshold,
        seed,
    )
    params |= {"signal": signal, "frame": frame, "frames": frames}
    params |= {"model": model}
    with Client(server, Settings().key) as client:
        job_id = client.submit([file, *companions_of(file)], params)
        typer.echo(job_id)
        if not wait:
            return
        follow(client, job_id, file.name)
        job = client.job(job_id)
        if job["state"] != "succeeded":
            error = job["error"] or {"detail": f"the job was {job['state']}", "code": "canceled"}
            raise ClientError(error["detail"], ours=error["code"] not in INPUT_CODES)
        for sentence in client.verdict(job_id):
            typer.echo(sentence)
        for path in client.fetch_all(job_id, output_dir) if output_dir else ():
            typer.echo(path)
