"""Answers by image, or by the dose of the images."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from reucid_core.errors import SurveyError
from reucid_core.training.labels.respondents import Group
from worker.survey.collect import Collected

COLUMNS = ("image", "dose")


def read_doses(file: Path, collected: Sequence[Collected]) -> dict[str, float]:
    """The dose of every image of a survey, from CSV with the columns image and dose.

    Raises
    ------
    SurveyError
        When a column, an image or a number is missing.
    """
    text = file.read_text(encoding="utf-8-sig")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if not set(COLUMNS) <= set(reader.fieldnames or ()):
        got = ", ".join(reader.fieldnames or ()) or "none"
        raise SurveyError(f"{file}, line 1: got the columns {got}, expected {', '.join(COLUMNS)}")
    doses = {}
    for row in reader:
        try:
            doses[(row["image"] or "").strip()] = float(row["dose"])
        except (TypeError, ValueError) as error:
            raise SurveyError(
                f"{file}, line {reader.line_num}: got the dose {row['dose']!r}, expected a number"
            ) from error
    missing = [each.image for each in collected if each.image not in doses]
    if missing:
        raise SurveyError(f"{file}: got no dose of {', '.join(missing)}, expected one for each")
    return doses


def grouped(
    collected: Sequence[Collected], doses: Mapping[str, float] | None = None
) -> list[Group]:
    """Each image's answers by kind; with doses, those of each dose, the lowest first."""
    if doses is None:
        return [_group(each.image, [each]) for each in collected]
    return [
        _group(f"{dose:g}", [each for each in collected if doses[each.image] == dose])
        for dose in sorted({doses[each.image] for each in collected})
    ]


def _group(name: str, images: Sequence[Collected]) -> Group:
    answers = [answer for each in images for answer in each.answers]
    return Group.of(name, [(each.kind, each.respondent, each.alpha) for each in answers])
