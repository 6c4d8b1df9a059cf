"""Answers, as respondents send them in: CSV with the columns respondent, image, alpha."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reucid_core.errors import SurveyError

COLUMNS = ("respondent", "image", "alpha")


@dataclass(frozen=True)
class Answer:
    """One respondent's choice for one image."""

    respondent: str
    image: str
    alpha: int  # eigenpatches
    where: str  # file and line


def read_answers(files: Sequence[Path], most: Mapping[str, int]) -> list[Answer]:
    """All answers of some files.

    Parameters
    ----------
    files : sequence of Path
        UTF-8, separated by commas; columns beside the three are ignored, and so are blank lines.
    most : mapping
        Of each image of the survey, the largest number of eigenpatches offered.

    Raises
    ------
    SurveyError
        At the first line that is no answer to this survey, or answers an image twice.
    """
    answers: dict[tuple[str, str], Answer] = {}
    for file in files:
        for answer in _read(file, most):
            before = answers.setdefault((answer.respondent, answer.image), answer)
            if before is not answer:
                raise SurveyError(
                    f"{answer.where}: got a second answer of {answer.respondent!r} to "
                    f"{answer.image}, expected one; the first is in {before.where}"
                )
    return list(answers.values())


def _read(file: Path, most: Mapping[str, int]) -> list[Answer]:
    try:
        text = file.read_text(encoding="utf-8-sig")  # spreadsheets begin with a mark
    except UnicodeDecodeError as error:
        raise SurveyError(f"{file}: got {error.reason}, expected text in UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = reader.fieldnames or []
        if any(header.count(column) != 1 for column in COLUMNS):
            raise SurveyError(
                f"{file}, line 1: got the columns {', '.join(header) or 'none'}, expected "
                f"{', '.join(COLUMNS)}, separated by commas"
            )
        return [_answer(row, f"{file}, line {reader.line_num}", most) for row in reader]
    except csv.Error as error:
        raise SurveyError(f"{file}, after line {reader.line_num}: {error}") from error


def _answer(row: Mapping[str, str | None], where: str, most: Mapping[str, int]) -> Answer:
    respondent, image, alpha = ((row[column] or "").strip() for column in COLUMNS)
    if not respondent:
        raise SurveyError(f"{where}: got no respondent, expected a name or number")
    if image not in most:
        listed = ", ".join(most)
        raise SurveyError(f"{where}: got the image {image!r}, expected one of {listed}")
    if not (alpha.isascii() and alpha.isdigit() and 1 <= int(alpha) <= most[image]):
        raise SurveyError(
            f"{where}: got alpha {alpha!r} for {image}, expected an integer from 1 to {most[image]}"
        )
    return Answer(respondent, image, int(alpha), where)
