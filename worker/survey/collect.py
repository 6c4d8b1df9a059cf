"""A survey's folder and its answers -> labelled decompositions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reucid_core.eigenpatches import Decomposition
from reucid_core.errors import SurveyError
from reucid_core.training.labels.survey import Choice, SurveyImage, label
from reucid_core.training.labels.survey_files import load_decomposition, survey_bytes
from worker.store import sha256_of, write_atomic
from worker.survey import manifest
from worker.survey.answers import Answer, read_answers
from worker.survey.manifest import ImageEntry, Manifest


@dataclass(frozen=True)
class Collected:
    """What was answered about an image of the survey."""

    image: str
    offered: int  # eigenpatches in its largest reconstruction
    answers: list[Answer]

    @cached_property
    def choice(self) -> Choice | None:
        """Of all who answered, whatever their kind; None where nobody did."""
        alphas = [answer.alpha for answer in self.answers]
        return Choice.of(alphas) if alphas else None


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
    about, collected = answered(folder, files)
    images = labelled(folder, about, collected)
    write_labels(images, about, output)
    return collected


def answered(folder: Path, files: Sequence[Path]) -> tuple[Manifest, list[Collected]]:
    """A survey, and the answers to each of its images.

    Raises
    ------
    SurveyError
        When a file is no answer to it, or there is none.
    """
    about = manifest.load(folder)
    answers = read_answers(files, {each.image: len(each.order) for each in about.images})
    if not answers:
        raise SurveyError(f"got no answers in {len(files)} files, expected at least one")
    return about, [
        Collected(each.image, len(each.order), [one for one in answers if one.image == each.image])
        for each in about.images
    ]


def labelled(folder: Path, about: Manifest, collected: Sequence[Collected]) -> list[SurveyImage]:
    """Decompositions with labels by the mean answer, of all images that somebody answered."""
    return [
        label(found.image, decomposition(folder, n, entry), found.choice)
        for n, (entry, found) in enumerate(zip(about.images, collected, strict=True), start=1)
        if found.choice is not None
    ]


def write_labels(images: Sequence[SurveyImage], about: Manifest, output: Path) -> None:
    """The file that a training reads, whole or not at all."""
    facts = {
        "sha256": {each.image: each.sha256 for each in about.images},
        "versions": about.versions,
        "blind": about.blind,
        "seed": about.seed,
    }
    with write_atomic(output) as temporary:
        temporary.write_bytes(survey_bytes(images, facts))


def decomposition(folder: Path, n: int, entry: ImageEntry) -> Decomposition:
    """The n-th image's stored decomposition, from 1, if it is the one that was exported."""
    path = folder / manifest.decomposition_of(n)
    if not path.is_file():
        raise SurveyError(f"{path}: no such file: the survey's folder is incomplete")
    if sha256_of(path) != entry.decomposition_sha256:
        raise SurveyError(f"{path}: not the file that was exported (SHA-256 differs)")
    return load_decomposition(path)
