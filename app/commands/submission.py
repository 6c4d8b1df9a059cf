"""`reucid submit`: an image to a server, and everything that comes of it back."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.grouped import grouped
from app.commands.options import Denoising, InputFile, Overwrite
from app.commands.outputs import make_folder, refuse_existing

INPUT_CODES = ("invalid_image", "invalid_parameter", "canceled")  # of jobs that failed for those


@grouped
def submit(
    file: InputFile,
    *,
    server: Annotated[
        str, typer.Option("--server", help="The server's address.")
    ] = "http://127.0.0.1:8000",
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job to its end.")] = False,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output-dir",
            help="With --wait: folder for what it yields, named after FILE.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    denoising: Denoising,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="Classifier, by its name in the server's GET /v1/models.",
        ),
    ] = None,
) -> None:
    """Send an image to a server, with the key in REUCID_API_KEY if it wants one.

    An EMI file is sent with the SER files beside it.
    """
    from app.commands.client import Client, ClientError
    from app.commands.progress import follow
    from worker.decoding.inspection import companions_of
    from worker.formats.text import printable
    from worker.settings import Settings

    if not file.is_file():
        raise typer.BadParameter(f"no file at {file}", param_hint="FILE")
    if output_dir is not None and not wait:
        message = "needs --wait: there is nothing to write before the job is done"
        raise typer.BadParameter(message, param_hint="--output-dir")
    prefix = f"{file.stem}."
    if output_dir is not None:
        _check(output_dir, prefix, overwrite=overwrite)
    params = denoising.parameters() | {"model": model}
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
        for path in client.fetch_all(job_id, output_dir, prefix) if output_dir else ():
            typer.echo(printable(str(path)))


def _check(folder: Path, prefix: str, *, overwrite: bool) -> None:
    """Refuse to lose what lies where the parts of a job will be, before anything is sent."""
    from app.commands.client import PARTS

    make_folder(folder, "--output-dir")
    interims = [each for each in folder.iterdir() if each.name.startswith(f"{prefix}interim-")]
    refuse_existing([folder / f"{prefix}{name}" for name in PARTS] + interims, overwrite=overwrite)
