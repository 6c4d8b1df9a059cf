"""A survey's folder and its answers -> labelled decompositions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reucid_core.errors import SurveyError
from reucid_core.training.labels.survey import Choice, label
from reucid_core.training.labels.survey_files import load_decomposition, survey_bytes
from worker.store import sha256_of, write_atomic
from worker.survey import manifest
from worker.survey.answers import Answer, read_answers
from worker.survey.manifest import ImageEntry


@dataclass(frozen=True)
class Collected:
    """What was answered about an image of the survey."""

    image: str
    offered: int  # eigenpatches in its largest reconstruction
    choice: Choice | None  # None where nobody answered


def collect(folder: Path, files: Sequence[Path], output: Path) -> list[Collected]:
    """Write the labels that a training reads (`load_survey`); images without answers are left out.

    Parameters
    ----------
    folder : Path
        What `reucid survey export` made.
    files : sequence of Path
        Answers, CSV.
    output : Path
        Written whole or not at all.

    Returns
    -------
    list of Collected
        One for each image of the survey.

    Raises
    ------
    SurveyError
    """
    about = manifest.load(folder)
    answers = read_answers(files, {each.image: len(each.order) for each in about.images})
    if not answers:
        raise SurveyError(f"got no answers in {len(files)} files, expected at least one")
    collected = [_summary(each, answers) for each in about.images]
    images = [
        label(found.image, load_decomposition(_checked(folder, n, entry)), found.choice)
        for n, (entry, found) in enumerate(zip(about.images, collected, strict=True), start=1)
        if found.choice is not None
    ]
    facts = {
        "sha256": {each.image: each.sha256 for each in about.images},
        "versions": about.versions,
        "blind": about.blind,
        "seed": about.seed,
    }
    with write_atomic(output) as temporary:
        temporary.write_bytes(survey_bytes(images, facts))
    return collected


def _summary(entry: ImageEntry, answers: Sequence[Answer]) -> Collected:
    alphas = [answer.alpha for answer in answers if answer.image == entry.image]
    return Collected(entry.image, len(entry.order), Choice.of(alphas) if alphas else None)


def _checked(folder: Path, n: int, entry: ImageEntry) -> Path:
    """The stored decomposition, if it is the one that was exported."""
    path = folder / manifest.decomposition_of(n)
    if not path.is_file():
        raise SurveyError(f"{path}: no such file: the survey's folder is incomplete")
    if sha256_of(path) != entry.decomposition_sha256:
        raise SurveyError(f"{path}: not the file that was exported (SHA-256 differs)")
    return path
