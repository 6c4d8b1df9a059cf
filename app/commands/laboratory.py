"""The laboratory's commands, which make the classifier: training, search, evaluation, survey."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import Overwrite
from app.commands.outputs import check_outputs, make_folder, refuse_existing

if TYPE_CHECKING:
    from reucid_core.training.showing.experiment import Experiment
    from worker.survey.collect import Collected
    from worker.survey.manifest import ImageEntry

MODELS = ("paper", "tuned")
WEIGHTS = Path("reucid_core") / "weights"
CACHE = Path("build") / "laboratory"

Each = Annotated[int, typer.Option("--each", min=1, help="Micrographs of each known crystal.")]
Invented = Annotated[int, typer.Option("--invented", min=0, help="Micrographs of random crystals.")]
Multislice = Annotated[
    int,
    typer.Option(
        "--multislice", min=0, help="Micrographs of each material simulated by multislice."
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
    each: Each = 24,
    invented: Invented = 500,
    multislice: Multislice = 24,
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
            help="Labels of people, by `reucid survey import`, to be learned beside the simulated.",
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
    overwrite: Overwrite = False,
) -> None:
    """Train the classifier: simulate micrographs, label their eigenpatches, fit, calibrate.

    Every model is trained for both decisions about scan noise.
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
    make_folder(folder, "--output")
    weights = [folder / f"{model}.safetensors" for model in models or MODELS]
    refuse_existing([*weights, folder / "README.md"], overwrite=overwrite)
    from reucid_core.training import laboratory

    laboratory.train(
        models or MODELS,
        laboratory.Simulated(each, invented, multislice, seed),
        threads=threads,
        processes=processes,
        cache=cache,
        folder=folder,
        survey=survey,
        survey_weight=survey_weight,
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
    if beside and not micrographs:
        raise typer.BadParameter("got no micrograph that it was made of", param_hint="--beside")
    make_folder(output, "--output")
    refuse_existing([output / "scores.json", output / "tables.md"], overwrite=overwrite)
    from reucid_core.training import laboratory

    laboratory.evaluate(
        laboratory.Simulated(each, invented, multislice, seed),
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


PAPER_MOST = 25  # eigenpatches in the largest reconstruction of the paper's survey
WIDE = 120  # columns of a table that no terminal shows

survey = typer.Typer(
    help="A survey: let people choose the best reconstructions, and make labels of their answers.",
    no_args_is_help=True,
)

SurveyFolder = Annotated[
    Path, typer.Argument(help="What `reucid survey export` made.", metavar="FOLDER")
]


@survey.command()
def export(
    files: Annotated[
        list[Path],
        typer.Argument(help="Micrographs in any readable format.", metavar="IMAGE"),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder for the survey.")],
    patch_size: Annotated[
        int | None,
        typer.Option(
            "--patch-size",
            metavar="P",
            help="Side of a patch in px, odd; by default the point-spread function's diameter.",
        ),
    ] = None,
    most: Annotated[
        int,
        typer.Option(
            "--max-eigenpatches",
            metavar="N",
            min=1,
            max=99,
            help="Offer the reconstructions with 1 to N eigenpatches.",
        ),
    ] = PAPER_MOST,
    blind: Annotated[
        bool,
        typer.Option(
            "--blind/--ordered", help="Options in random order without their numbers, or in order."
        ),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Of that order.")] = 0,
    signal: Annotated[
        str | None,
        typer.Option(
            "--signal", metavar="N|TITLE", help="Image signal of the files; see `reucid inspect`."
        ),
    ] = None,
    frame: Annotated[
        int | None, typer.Option("--frame", metavar="N", min=0, help="Frame of a stack, from 0.")
    ] = None,
) -> None:
    """Write the reconstructions to choose from, and a page on which people choose, offline.

    Hand out the folder `page`: it needs no server. The answers are downloaded from it as CSV.
    """
    from worker.denoising.selection import Selection
    from worker.survey.export import export as export_survey

    for file in files:
        if not file.is_file():
            raise typer.BadParameter(f"no file at {file}", param_hint="IMAGE")
    wanted = int(signal) if signal is not None and signal.isdigit() else signal
    export_survey(
        files,
        output,
        selection=Selection(signal=wanted, frame=frame),
        patch_size=patch_size,
        most=most,
        blind=blind,
        seed=seed,
        progress=_print_image,
    )
    typer.echo(f"{output / 'page' / 'index.html'}: the page for respondents")


@survey.command("import")
def import_(
    folder: SurveyFolder,
    answers: Annotated[
        list[Path],
        typer.Argument(help="CSV with the columns respondent, image, alpha.", metavar="ANSWERS"),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The labels for training: .safetensors.")
    ],
    overwrite: Overwrite = False,
) -> None:
    """Make labels of answers: the first eigenpatches are useful, as many as the mean answer.

    Means are rounded half up. Images that nobody answered are left out.
    """
    from worker.survey.collect import collect

    for file in answers:
        if not file.is_file():
            raise typer.BadParameter(f"no file at {file}", param_hint="ANSWERS")
    check_outputs(answers, [], [output], overwrite=overwrite)
    collected = collect(folder, answers, output)
    _print_choices(collected)
    labelled = sum(each.choice is not None for each in collected)
    typer.echo(f"{output}: labels of {labelled} of {len(collected)} images")


def _print_image(entry: "ImageEntry") -> None:
    typer.echo(
        f"{entry.image}: {entry.shape[0]} x {entry.shape[1]} px, patch size {entry.patch_size} "
        f"({entry.patch_size_origin}), 1 to {len(entry.order)} of {entry.components} eigenpatches"
    )
    if entry.patch_size_origin == "none":
        _warn(
            f"{entry.image}: the autocorrelation shows no point-spread function above the noise; "
            "the smallest patch size was taken: state one with --patch-size"
        )


def _print_choices(collected: "list[Collected]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("image", "respondents", "mean alpha", "spread", "range", "useful")
    for each in collected:
        choice = each.choice
        if choice is None:
            table.add_row(each.image, "0", "", "", "", "left out")
            continue
        spread = "" if choice.respondents == 1 else f"{choice.spread:.2f}"
        limits = f"{choice.least}-{choice.most}"
        cells = (f"{choice.respondents}", f"{choice.mean:.2f}", spread, limits, f"{choice.kept}")
        table.add_row(each.image, *cells)
        if choice.kept == each.offered:
            _warn(
                f"{each.image}: the mean answer is the last reconstruction offered; more might "
                "have been wanted: export with a larger --max-eigenpatches"
            )
    terminal = Console()
    terminal.print(table, width=terminal.width if terminal.is_terminal else WIDE)


def _warn(message: str) -> None:
    from app.commands.progress import console

    console.print(f"warning: {message}", style="yellow", highlight=False, markup=False)
