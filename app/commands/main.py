"""The command line: `reucid serve | inspect | denoise | submit | bundle | verify | keys | ...`.

Exit status 0: done; 2: bad input or usage; 1: a fault of ours.
"""

import json
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from app.commands import bundles, laboratory, listing
from app.commands.client import Client, ClientError
from app.commands.exits import end
from app.commands.keys import app as keys
from app.commands.listing import summary
from app.commands.options import (
    Colormap,
    Components,
    Engine,
    EngineOption,
    FrameOption,
    FramesMode,
    FramesOption,
    InputFile,
    OutputType,
    PatchSize,
    ScanNoise,
    ScanNoiseOption,
    Seed,
    SignalOption,
    Stacks,
    Threshold,
    parameters,
)
from app.commands.progress import console, follow, steps_bar
from worker.settings import Settings

WIDE = 160  # columns of a table that no terminal shows
INPUT_CODES = ("invalid_image", "invalid_parameter", "canceled")  # of jobs that failed for those

app = typer.Typer(
    name="reucid",
    help="Eigenpatch denoising of low-dose STEM/HAADF micrographs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


app.add_typer(keys, name="keys")
app.add_typer(laboratory.survey, name="survey")
for command in (laboratory.train, laboratory.tune, laboratory.evaluate):
    app.command()(command)


@app.command()
def denoise(
    file: InputFile,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The denoised image: .tif, .mrc, .hspy, .npy or .png."),
    ],
    residual: Annotated[
        Path | None, typer.Option("--residual", help="Also write input minus output.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Also write the classification report (JSON).")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="Also write everything in one file, for `reucid verify`."),
    ] = None,
    interim_dir: Annotated[
        Path | None,
        typer.Option("--interim-dir", help="Also write the result after each stack or frame."),
    ] = None,
    signal: SignalOption = None,
    frame: FrameOption = None,
    frames: FramesOption = FramesMode.EACH,
    engine: EngineOption = Engine.AUTO,
    stacks: Stacks = "auto",
    patch_size: PatchSize = "auto",
    components: Components = None,
    threshold: Threshold = None,
    scan_noise: ScanNoiseOption = ScanNoise.KEEP,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="NAME|FILE", help="Classifier: its name, or a .safetensors file."
        ),
    ] = None,
    seed: Seed = 0,
    dtype: Annotated[
        OutputType,
        typer.Option("--dtype", help="source: rounded and clipped to the type of the input."),
    ] = OutputType.FLOAT,
    colormap: Annotated[
        Colormap, typer.Option("--colormap", help="Colours of a .png.")
    ] = Colormap.gray,
    percentiles: Annotated[
        str,
        typer.Option(
            "--percentiles", metavar="LOW,HIGH", help="Shown darkest and brightest in a .png."
        ),
    ] = "0.1,99.9",
    scalebar: Annotated[bool, typer.Option("--scalebar", help="Below a .png.")] = False,
) -> None:
    """Denoise one image, or all frames of a stack, here, without a server."""
    local = import_module("worker.local")  # by name: it loads torch, which serving must not
    formats = import_module("worker.formats")
    job_params = import_module("worker.denoising.params").JobParams
    look = formats.Look(formats.parse_percentiles(percentiles), colormap.value, scalebar)
    images = [path for path in (output, residual) if path is not None]
    _check_outputs(file, images, [path for path in (report, bundle) if path is not None])
    if interim_dir is not None:
        _make_folder(interim_dir, "--interim-dir")
    models, name = _models(model)
    selection = {"signal": signal, "frame": frame, "frames": frames.value}
    choice = {"model": name, "scan_noise": scan_noise.value}
    stated = parameters(engine, stacks, patch_size, components, threshold, seed)
    params = job_params.from_json(stated | selection | choice)
    with steps_bar() as bar:
        task = bar.add_task(file.name, total=None, what="")

        def on_step(step: Any) -> None:
            bar.update(task, completed=step.n, total=step.of, what=step.what)
            if interim_dir is not None:
                local.save_image(interim_dir / f"interim-{step.n:04d}.tif", step.image, step.info)

        denoised = local.denoise_file(file, params, on_step, models=models, bundle_at=bundle)
    source = dtype is OutputType.SOURCE
    local.save_image(output, denoised.image, denoised.info, source=source, look=look)
    if residual is not None:
        local.save_image(residual, denoised.residual, denoised.info, look=look)
    if report is not None:
        report.write_text(json.dumps(denoised.report, indent=1))
    for warning in denoised.report["warnings"]:
        console.print(f"warning: {warning}", style="yellow", highlight=False)
    typer.echo(f"{output}: {summary(denoised.report)}")
    if source:
        clipped = local.clipped(denoised)
        typer.echo(f"{clipped} of {denoised.image.size} pixels clipped to {denoised.info.dtype}")


@app.command()
def inspect(
    file: InputFile,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs, and with all metadata.")
    ] = False,
) -> None:
    """List the images in a file: shape, type, pixel size, detector, beam energy, dwell time."""
    if not file.is_file():
        raise typer.BadParameter(f"no file at {file}", param_hint="FILE")
    contents = import_module("worker.decoding.inspection").inspect_file(file)
    if as_json:
        typer.echo(json.dumps(listing.as_dict(contents), indent=1, ensure_ascii=False))
    else:
        terminal = Console()
        width = terminal.width if terminal.is_terminal else WIDE
        terminal.print(listing.as_table(file.name, contents), width=width)
        for note in listing.notes(contents):
            typer.echo(note)


@app.command()
def residual(
    file: InputFile,
    image: Annotated[
        Path | None, typer.Option("--of", help="The image that was denoised, to compare with.")
    ] = None,
) -> None:
    """Say whether a residual is white, and whether a lattice peak stands out of its spectrum."""
    local = import_module("worker.local")
    metrics = import_module("reucid_core.metrics")
    pixels, info = local.read_file(file)
    white = metrics.whiteness(pixels)
    noisy = local.read_file(image)[0] if image is not None else None
    if noisy is not None and noisy.shape != pixels.shape:
        raise typer.BadParameter(f"got {noisy.shape}, expected {pixels.shape}", param_hint="--of")
    peak = metrics.lattice_peak(pixels, noisy)
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


@app.command()
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
    frames: FramesOption = FramesMode.EACH,
    engine: EngineOption = Engine.AUTO,
    stacks: Stacks = "auto",
    patch_size: PatchSize = "auto",
    components: Components = None,
    threshold: Threshold = None,
    scan_noise: ScanNoiseOption = ScanNoise.KEEP,
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
    if not file.is_file():
        raise typer.BadParameter(f"no file at {file}", param_hint="FILE")
    if output_dir is not None:
        _make_folder(output_dir, "--output-dir")
    if output_dir is not None and not wait:
        message = "needs --wait: there is nothing to write before the job is done"
        raise typer.BadParameter(message, param_hint="--output-dir")
    params = parameters(engine, stacks, patch_size, components, threshold, seed)
    params |= {"signal": signal, "frame": frame, "frames": frames.value}
    params |= {"model": model, "scan_noise": scan_noise.value}
    companions = import_module("worker.decoding.inspection").companions_of(file)
    with Client(server, Settings().key) as client:
        job_id = client.submit([file, *companions], params)
        typer.echo(job_id)
        if not wait:
            return
        follow(client, job_id, file.name)
        job = client.job(job_id)
        if job["state"] != "succeeded":
            error = job["error"] or {"detail": f"the job was {job['state']}", "code": "canceled"}
            raise ClientError(error["detail"], ours=error["code"] not in INPUT_CODES)
        for path in client.fetch_all(job_id, output_dir) if output_dir else ():
            typer.echo(path)


app.command()(bundles.bundle)
app.command()(bundles.verify)


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; other than loopback needs a key.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of ledger and results.")] = None,
) -> None:
    """Run the server: queue, API, dispatcher and workers, in one group, until SIGTERM or Ctrl-C."""
    from app.commands.serve import serve as run

    stated = {"host": host, "port": port, "workers": workers, "data_dir": data_dir}
    run({name: value for name, value in stated.items() if value is not None})


@app.command()
def doctor(
    url: Annotated[
        str | None, typer.Option("--url", help="Also ask a running server, as a client sees it.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of ledger and results.")] = None,
) -> None:
    """Check this machine's deployment and say what is wrong; exit status 1 if anything is."""
    from app.commands.doctor import doctor as examine

    stated: dict[str, Any] = {} if data_dir is None else {"data_dir": data_dir}
    raise typer.Exit(examine(Settings(**stated), url))


@app.command()
def demo(
    output_dir: Annotated[
        Path, typer.Option("-o", "--output-dir", help="Folder for everything the demo makes.")
    ] = Path("demo-output"),
) -> None:
    """Denoise the bundled low-dose micrograph through a server of its own."""
    from app.commands.demo import run

    run(output_dir)


def _models(model: str | None) -> tuple[Any, str | None]:
    """The classifiers to choose from, and the name of the one that was stated, as name or file."""
    known = import_module("worker.denoising.model_files")
    models = known.Models.of(Settings())
    if model is None:
        return models, None
    if "/" not in model and not model.endswith(known.SUFFIX):
        models.expect(model)
        return models, model
    try:
        return known.Models(stated=Path(model)), known.describe(Path(model)).name
    except import_module("reucid_core.errors").ModelError as error:
        raise typer.BadParameter(str(error), param_hint="--model") from error


def _check_outputs(source: Path, images: list[Path], others: list[Path]) -> None:
    """Refuse what would fail after the work is done, or destroy the input."""
    formats = import_module("worker.formats")
    if not source.is_file():
        raise typer.BadParameter(f"no file at {source}", param_hint="FILE")
    for path in images:
        formats.format_of(path)
    resolved = [path.resolve() for path in images + others]
    if len(set(resolved)) < len(resolved):
        raise typer.BadParameter("two outputs have the same name: the last would replace the first")
    for path in images + others:
        if path.resolve() == source.resolve():
            raise typer.BadParameter(f"{path} is the input, which is never overwritten")
        if not path.resolve().parent.is_dir():
            raise typer.BadParameter(f"no folder {path.parent} to write {path.name} to")


def _make_folder(folder: Path, option: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the folder {folder}: {error.strerror}"
        raise typer.BadParameter(message, param_hint=option) from error


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reucid {version('reucid')}")
        raise typer.Exit


@app.callback()
def _common(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; every error is one line on stderr and an exit status."""
    try:
        status = app(standalone_mode=False)
    except Exception as error:
        end(error)
    sys.exit(status if isinstance(status, int) else 0)
