"""`reucid denoise`: an image, or all frames of a stack, here, without a server."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import (
    BiasOption,
    Colormap,
    Components,
    EngineOption,
    FrameOption,
    FramesOption,
    InputFile,
    MethodOption,
    OutliersOption,
    OutputType,
    PatchSize,
    ScanAxisOption,
    ScanNoiseOption,
    Seed,
    SignalOption,
    Stacks,
    Threshold,
    parameters,
)
from app.commands.outputs import check_outputs, make_folder

if TYPE_CHECKING:
    from worker.denoising.model_files import Models


def denoise(
    file: InputFile,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The denoised image: .tif, .mrc, .hspy, .npy or .png."),
    ],
    residual: Annotated[
        Path | None, typer.Option("--residual", help="Also write input minus output.")
    ] = None,
    departures: Annotated[
        Path | None,
        typer.Option(
            "--departures", help="Also write where the image is not its lattice (two-scale)."
        ),
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
            "--model", metavar="NAME|FILE", help="Classifier: its name, or a .safetensors file."
        ),
    ] = None,
    seed: Seed = 0,
    dtype: Annotated[
        OutputType,
        typer.Option("--dtype", help="source: rounded and clipped to the type of the input."),
    ] = "float",
    colormap: Annotated[Colormap, typer.Option("--colormap", help="Colours of a .png.")] = "gray",
    percentiles: Annotated[
        str,
        typer.Option(
            "--percentiles", metavar="LOW,HIGH", help="Shown darkest and brightest in a .png."
        ),
    ] = "0.1,99.9",
    scalebar: Annotated[bool, typer.Option("--scalebar", help="Below a .png.")] = False,
) -> None:
    """Denoise one image, or all frames of a stack, here, without a server."""
    from worker.formats import Look, parse_percentiles

    look = Look(parse_percentiles(percentiles), colormap, scalebar)
    images = [path for path in (output, residual, departures) if path is not None]
    check_outputs(file, images, [path for path in (report, bundle) if path is not None])
    if interim_dir is not None:
        make_folder(interim_dir, "--interim-dir")

    from worker.decoding import forkserver

    forkserver.start()  # it loads the readers while this process loads torch
    from app.commands.listing import assessed, summary
    from app.commands.progress import console, steps_bar
    from worker import local
    from worker.denoising.params import JobParams
    from worker.denoising.run import Step
    from worker.formats.text import printable

    models, name = _models(model)
    selection = {"signal": signal, "frame": frame, "frames": frames}
    choice = {"model": name}
    stated = parameters(
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
    params = JobParams.from_json(stated | selection | choice)
    with steps_bar() as bar:
        task = bar.add_task(printable(file.name), total=None, what="")

        def on_step(step: Step) -> None:
            bar.update(task, completed=step.n, total=step.of, what=step.what)
            if interim_dir is not None:
                local.save_image(interim_dir / f"interim-{step.n:04d}.tif", step.image, step.info)

        denoised = local.denoise_file(file, params, on_step, models=models, bundle_at=bundle)
    source = dtype == "source"
    local.save_image(output, denoised.image, denoised.info, source=source, look=look)
    if residual is not None:
        local.save_image(residual, denoised.residual, denoised.info, look=look)
    if departures is not None:
        local.save_image(departures, denoised.departures, denoised.info)
    if report is not None:
        report.write_text(json.dumps(denoised.report, indent=1))
    for warning in denoised.report["warnings"]:
        console.print(f"warning: {warning}", style="yellow", highlight=False)
    typer.echo(f"{output}: {summary(denoised.report)}")
    for sentence in assessed(denoised.report):
        typer.echo(sentence)
    if source:
        clipped = local.clipped(denoised)
        typer.echo(f"{clipped} of {denoised.image.size} pixels clipped to {denoised.info.dtype}")


def _models(model: str | None) -> "tuple[Models, str | None]":
    """The classifiers to choose from, and the name of the one that was stated, as name or file."""
    from reucid_core.errors import ModelError
    from worker.denoising.model_files import SUFFIX, Models, describe
    from worker.settings import Settings

    models = Models.of(Settings())
    if model is None:
        return models, None
    if "/" not in model and not model.endswith(SUFFIX):
        models.expect(model)
        return models, model
    try:
        return Models(stated=Path(model)), describe(Path(model)).name
    except ModelError as error:
        raise typer.BadParameter(str(error), param_hint="--model") from error
