"""`reucid survey`: people choose the best reconstructions, and their answers become labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import Overwrite
from app.commands.outputs import check_outputs

if TYPE_CHECKING:
    from rich.table import Table

    from reucid_core.training.labels.alpha_metrics import Comparison
    from reucid_core.training.labels.respondents import Group
    from worker.survey.collect import Collected
    from worker.survey.manifest import ImageEntry

PAPER_MOST = 25  # eigenpatches in the largest reconstruction of the paper's survey
WIDE = 120  # columns of a table that no terminal shows

app = typer.Typer(
    help="A survey: let people choose the best reconstructions, and make labels of their answers.",
    no_args_is_help=True,
)

SurveyFolder = Annotated[
    Path, typer.Argument(help="What `reucid survey export` made.", metavar="FOLDER")
]
Answers = Annotated[
    list[Path],
    typer.Argument(
        help="CSV with the columns respondent, image, alpha and, where it is known, kind: expert "
        "or other.",
        metavar="ANSWERS",
    ),
]
MostEigenpatches = Annotated[
    int,
    typer.Option(
        "--max-eigenpatches",
        metavar="N",
        min=1,
        max=99,
        help="Offer the reconstructions with 1 to N eigenpatches.",
    ),
]
PatchSize = Annotated[
    int | None,
    typer.Option(
        "--patch-size",
        metavar="P",
        help="Side of a patch in px, odd; by default the point-spread function's diameter.",
    ),
]
PatchSizeFrom = Annotated[
    str | None,
    typer.Option(
        "--patch-size-from",
        metavar="NAME",
        help="The rule that gives the patch size instead: autocorrelation, information-limit, or "
        "one that an installed package offers.",
    ),
]


@app.command()
def export(
    files: Annotated[
        list[Path],
        typer.Argument(help="Micrographs in any readable format.", metavar="IMAGE"),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder for the survey.")],
    patch_size: PatchSize = None,
    patch_size_from: PatchSizeFrom = None,
    most: MostEigenpatches = PAPER_MOST,
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

    _check_there(files, "IMAGE")
    wanted = int(signal) if signal is not None and signal.isdigit() else signal
    export_survey(
        files,
        output,
        selection=Selection(signal=wanted, frame=frame),
        patch_size=patch_size,
        patch_size_from=patch_size_from,
        most=most,
        blind=blind,
        seed=seed,
        progress=_print_image,
    )
    typer.echo(f"{output / 'page' / 'index.html'}: the page for respondents")


@app.command("import")
def import_(
    folder: SurveyFolder,
    answers: Answers,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The labels for training: .safetensors.")
    ],
    overwrite: Overwrite = False,
) -> None:
    """Make labels of answers: the first eigenpatches are useful, as many as the mean answer.

    Means are rounded half up. Images that nobody answered are left out.
    """
    from worker.survey.collect import collect

    _check_there(answers, "ANSWERS")
    check_outputs(answers, [], [output], overwrite=overwrite)
    collected = collect(folder, answers, output)
    _print_choices(collected)
    labelled = sum(each.choice is not None for each in collected)
    typer.echo(f"{output}: labels of {labelled} of {len(collected)} images")


@app.command()
def show(
    folder: SurveyFolder,
    answers: Answers,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Violin plot as in the paper's Fig. 4: .png."),
    ] = None,
    doses: Annotated[
        Path | None,
        typer.Option(
            "--doses",
            metavar="FILE",
            help="CSV with the columns image, dose: images of one dose are shown together.",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show how experts and others chose, and how far they agree.

    The kind of a respondent is what the answers say in the column `kind`. The plot needs the extra
    `plots`.
    """
    from worker.survey.collect import answered
    from worker.survey.groups import grouped, read_doses

    _check_there([*answers, *([doses] if doses else [])], "ANSWERS")
    if output is not None:
        check_outputs(answers, [], [output], overwrite=overwrite)
    _, collected = answered(folder, answers)
    found = grouped(collected, read_doses(doses, collected) if doses else None)
    _print_agreement(found)
    if output is not None:
        from reucid_core.training.showing.charts import violins

        violins(found, output)
        typer.echo(f"{output}: experts and others, by {'dose' if doses else 'image'}")


@app.command()
def metric(
    folder: SurveyFolder,
    answers: Answers,
    truths: Annotated[
        Path,
        typer.Option(
            "--truths",
            help="Folder with the truth of images, in files of the same names: simulated without "
            "noise, or the same field at a much higher dose.",
        ),
    ],
    more: Annotated[
        list[Path] | None,
        typer.Option(
            "--label",
            metavar="IMAGE",
            help="Image that nobody was asked about, to be labelled by the metric; repeatable.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The survey's labels and those of --label: .safetensors."
        ),
    ] = None,
    patch_size: PatchSize = None,
    patch_size_from: PatchSizeFrom = None,
    most: MostEigenpatches = PAPER_MOST,
    overwrite: Overwrite = False,
) -> None:
    """Measure metrics by people's answers, fit one to them, and label more images with it.

    MSE, PSNR, SSIM and IEF are compared by how far they are from the mean answer, and by how well
    they tell it from one eigenpatch more or less; c of IEF / c^alpha is fitted by least squares.
    --patch-size and --max-eigenpatches are those of the images of --label. Needs the extra
    `laboratory`.
    """
    from worker.survey.metric import label_more, measure

    _check_there([*answers, *(more or ())], "ANSWERS")
    if bool(more) != (output is not None):
        raise typer.BadParameter("got one of --label and --output, expected both or neither")
    if output is not None:
        check_outputs([*answers, *(more or ())], [], [output], overwrite=overwrite)
    if not truths.is_dir():
        raise typer.BadParameter(f"no folder at {truths}", param_hint="--truths")
    known = {file.name: file for file in truths.iterdir() if file.is_file()}
    found = measure(folder, answers, known)
    for image in found.left_out:
        _warn(f"{image}: left out of the comparison, for it has no answers or no truth")
    _print_comparison(found.comparison)
    if output is not None:
        number = label_more(
            folder,
            answers,
            more or (),
            known,
            output,
            base=found.comparison.fitted.base,
            patch_size=patch_size,
            patch_size_from=patch_size_from,
            most=most,
            progress=lambda each: typer.echo(f"{each.image}: {each.alpha:g} eigenpatches"),
        )
        typer.echo(f"{output}: labels of {number} images, {len(more or ())} of them by the metric")


def _check_there(files: Sequence[Path], what: str) -> None:
    for file in files:
        if not file.is_file():
            raise typer.BadParameter(f"no file at {file}", param_hint=what)


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
    _print(table)


def _print_agreement(groups: "Sequence[Group]") -> None:
    from rich.table import Table

    table = Table(
        "images", "experts", "mean", "others", "mean", "difference", "95 %", "distance", "verdict"
    )
    for each in groups:
        agreed = each.agreement
        if agreed is None:
            counts = [f"{len(found)}" for found in each.answers.values()]
            table.add_row(each.name, counts[0], "", counts[1], "", "", "", "", "too few answers")
            continue
        table.add_row(
            each.name,
            f"{agreed.experts}",
            f"{agreed.means[0]:.2f}",
            f"{agreed.others}",
            f"{agreed.means[1]:.2f}",
            f"{agreed.difference:+.2f}",
            f"{agreed.low:+.2f} to {agreed.high:+.2f}",
            f"{agreed.distance:.2f}",
            "differ" if agreed.is_plain else "no difference shown",
        )
    _print(table)


def _print_comparison(found: "Comparison") -> None:
    from rich.table import Table

    table = Table("metric", "from the mean answer", "signed", "alpha told from alpha +- 1")
    for each in found.predictors:
        table.add_row(
            each.name, f"{each.distance:.2f}", f"{each.bias:+.2f}", f"{each.told_apart:.4f}"
        )
    _print(table)
    fitted = found.fitted
    typer.echo(
        f"c = {fitted.base:.3f} of IEF / c^alpha, by least squares over {len(found.images)} "
        f"images; 95 % of resampled surveys: {fitted.low:.3f} to {fitted.high:.3f}"
    )


def _print(table: "Table") -> None:
    from rich.console import Console

    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=WIDE)).print(table)


def _warn(message: str) -> None:
    from app.commands.progress import console

    console.print(f"warning: {message}", style="yellow", highlight=False, markup=False)
