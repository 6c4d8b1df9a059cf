"""The laboratory's commands, which make the classifier: training, search, evaluation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.commands.options import Overwrite
from app.commands.outputs import make_folder, refuse_existing

if TYPE_CHECKING:
    from reucid_core.training.showing.experiment import Experiment

MODELS = ("paper", "tuned")
JUDGED = ("paper", "paper-2830", "tuned")
WEIGHTS = Path("reucid_core") / "weights"
CACHE = Path("build") / "laboratory"

Each = Annotated[int, typer.Option("--each", min=0, help="Micrographs of each known crystal.")]
Invented = Annotated[int, typer.Option("--invented", min=0, help="Micrographs of random crystals.")]
Multislice = Annotated[
    int,
    typer.Option(
        "--multislice", min=0, help="Micrographs of each material simulated by multislice."
    ),
]
SIMULATED: tuple[int | None, int | None, int | None] = (
    24,
    500,
    24,
)  # micrographs of each crystal, of invented ones, and by multislice
SOME = "By default {} without --survey, else none."
SomeEach = Annotated[
    int | None,
    typer.Option(
        "--each", min=0, help="Micrographs of each known crystal. " + SOME.format(SIMULATED[0])
    ),
]
SomeInvented = Annotated[
    int | None,
    typer.Option(
        "--invented", min=0, help="Micrographs of random crystals. " + SOME.format(SIMULATED[1])
    ),
]
SomeMultislice = Annotated[
    int | None,
    typer.Option(
        "--multislice",
        min=0,
        help="Micrographs of each material simulated by multislice. " + SOME.format(SIMULATED[2]),
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")]
Threads = Annotated[
    int,
    typer.Option(
        "--threads", min=1, help="Weights are reproducible for the same number of threads only."
    ),
]
Processes = Annotated[
    int,
    typer.Option(
        "--processes",
        min=1,
        help="Processes for work whose result does not depend on their number.",
    ),
]
Cache = Annotated[
    Path,
    typer.Option("--cache", help="Folder where labelled micrographs are kept for the next run."),
]


def train(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="paper (Fig. 3 of the paper), tuned; both by default."),
    ] = None,
    each: SomeEach = None,
    invented: SomeInvented = None,
    multislice: SomeMultislice = None,
    seed: Seed = 0,
    threads: Threads = 1,
    processes: Processes = 2,
    cache: Cache = CACHE,
    folder: Annotated[
        Path, typer.Option("--output", help="Folder for the weights and their cards.")
    ] = WEIGHTS,
    survey: Annotated[
        Path | None,
        typer.Option(
            "--survey",
            metavar="FILE",
            help="Labels of people, by `reucid survey import`. Alone they are all that is learned, "
            "without any simulation; with --each, --invented or --multislice they are learned "
            "beside simulated micrographs.",
        ),
    ] = None,
    survey_weight: Annotated[
        float,
        typer.Option(
            "--survey-weight",
            metavar="DB",
            min=0,
            help="What a mistake on one of those costs, beside 0.01 to 0.2 dB of the simulated.",
        ),
    ] = 0.1,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="At most; by default as the model is shipped."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train the classifier: simulate micrographs, label their eigenpatches, fit, calibrate.

    Every model is trained for both decisions about scan noise. With --survey and nothing simulated,
    the survey's own images stop the training, calibrate it and set the threshold, at which as many
    eigenpatches are kept as people chose.
    """
    if survey is not None and folder.resolve() == WEIGHTS.resolve():
        message = (
            "got the bundled weights' folder, expected one of your own for weights of a survey"
        )
        raise typer.BadParameter(message, param_hint="--output")
    unknown = sorted(set(models or ()) - set(MODELS))
    if unknown:
        message = f"got {', '.join(unknown)}, expected {' or '.join(MODELS)}"
        raise typer.BadParameter(message, param_hint="MODELS")
    stated = (each, invented, multislice)
    if survey is None and all(number is None for number in stated):
        stated = SIMULATED
    if survey is None and not any(stated):
        message = "got neither simulated micrographs nor a survey, expected either"
        raise typer.BadParameter(message, param_hint="--each")
    if sum(number or 0 for number in stated) == 1 and stated[1] == 1:
        message = "got 1 micrograph, expected at least 2: one of them is held back"
        raise typer.BadParameter(message, param_hint="--invented")
    make_folder(folder, "--output")
    weights = [folder / f"{model}.safetensors" for model in models or MODELS]
    refuse_existing([*weights, folder / "README.md"], overwrite=overwrite)
    from reucid_core.training import laboratory

    laboratory.train(
        models or MODELS,
        laboratory.Simulated(stated[0] or 0, stated[1] or 0, stated[2] or 0, seed),
        threads=threads,
        processes=processes,
        cache=cache,
        folder=folder,
        survey=survey,
        survey_weight=survey_weight,
        epochs=epochs,
    )


def tune(
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Number of trials after which the search ends.")
    ] = 12,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Of a trial.")] = 12,
    study: Annotated[
        Path, typer.Option("--study", help="SQLite file; a search that was cut off goes on.")
    ] = CACHE / "tune.db",
    each: Each = 14,
    invented: Invented = 300,
    multislice: Multislice = 14,
    seed: Seed = 0,
    threads: Threads = 1,
    processes: Processes = 2,
    cache: Cache = CACHE,
) -> None:
    """Search the network's sizes, inputs and training.

    What is found replaces reucid_core/training/tuned.json, by which `reucid train tuned` and
    `reucid evaluate` make their networks from then on. Several may search one study at once, and
    each searches differently, whatever the seed. Needs the extra `laboratory` (Optuna).
    """
    from reucid_core.training import laboratory

    laboratory.tune(
        laboratory.Simulated(each, invented, multislice, seed),
        trials=trials,
        epochs=epochs,
        threads=threads,
        processes=processes,
        cache=cache,
        study=study,
    )


def evaluate(
    method: Annotated[
        Literal["paper", "two-scale"],
        typer.Option(
            "--method",
            help="Whose decompositions; of two-scale, networks and rules at both scales are "
            "compared, and --images, --micrograph and --each do not matter.",
        ),
    ] = "paper",
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A network that is judged, with --method paper: paper, paper-2830 (the other "
            "reading of Fig. 3) or tuned, of which alone pictures are drawn; repeatable, all by "
            "default.",
        ),
    ] = None,
    sizes: Annotated[
        list[int] | None,
        typer.Option(
            "--size", metavar="P", min=3, help="Of the crystals' patches, in px; repeatable."
        ),
    ] = None,
    images: Annotated[
        int, typer.Option("--images", min=1, help="Per crystal, dose and scan noise.")
    ] = 1,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Of every network; by default as it is shipped."),
    ] = None,
    micrographs: Annotated[
        list[Path] | None,
        typer.Option(
            "--micrograph",
            metavar="FILE",
            help="Experimental image on which the bundled classifiers are shown; repeatable.",
        ),
    ] = None,
    patch_size: Annotated[
        int | None, typer.Option("--patch-size", metavar="P", help="Of those, in px.")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--beside",
            metavar="FILE",
            help="What another program made of the first of them; repeatable.",
        ),
    ] = None,
    each: Each = 24,
    invented: Invented = 500,
    multislice: Multislice = 24,
    seed: Seed = 0,
    processes: Processes = 2,
    cache: Cache = CACHE,
    output: Annotated[
        Path, typer.Option("--output", help="Folder for scores, tables and pictures.")
    ] = Path("build") / "evaluation",
    overwrite: Overwrite = False,
) -> None:
    """Measure networks and rules on crystals whose family took no part in their making.

    Needs the extras `laboratory` and `plots`; BM3D and other denoisers join in with `bench`.
    """
    files = [*(micrographs or ()), *(beside or ())]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise typer.BadParameter(f"no file at {', '.join(missing)}", param_hint="--micrograph")
    unknown = sorted(set(models or ()) - set(JUDGED))
    if unknown:
        message = f"got {', '.join(unknown)}, expected {', '.join(JUDGED)}"
        raise typer.BadParameter(message, param_hint="--model")
    if beside and not micrographs:
        raise typer.BadParameter("got no micrograph that it was made of", param_hint="--beside")
    make_folder(output, "--output")
    written = ("scales.md",) if method == "two-scale" else ("scores.json", "tables.md")
    refuse_existing([output / name for name in written], overwrite=overwrite)
    from reucid_core.training import laboratory

    simulated = laboratory.Simulated(each, invented, multislice, seed)
    if method == "two-scale":
        laboratory.evaluate_two_scale(
            simulated, epochs=epochs or 15, processes=processes, cache=cache, output=output
        )
        return
    laboratory.evaluate(
        simulated,
        models=models or JUDGED,
        sizes=sizes,
        images=images,
        epochs=epochs,
        processes=processes,
        cache=cache,
        output=output,
        experiments=_experiments(micrographs or (), beside or ()),
        patch_size=patch_size,
    )


def _experiments(micrographs: Sequence[Path], beside: Sequence[Path]) -> "list[Experiment]":
    from reucid_core.training.showing.experiment import Experiment
    from worker.denoising.selection import Selection, read_image

    raw = [read_image(file, Selection())[0] for file in micrographs]
    others = {}
    for file in beside:
        others[file.stem] = image = read_image(file, Selection())[0]
        if image.shape != raw[0].shape:
            message = f"got {file.name} of {image.shape} px, expected {raw[0].shape}"
            raise typer.BadParameter(message, param_hint="--beside")
    return [
        Experiment(file.name, image, others if n == 0 else {})
        for n, (file, image) in enumerate(zip(micrographs, raw, strict=True))
    ]
