"""Answers, as respondents send them in: CSV with the columns respondent, image, alpha, kind."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reucid_core.errors import SurveyError
from reucid_core.training.labels.respondents import KINDS

COLUMNS = ("respondent", "image", "alpha")
KIND = "kind"  # of the respondent; a column that may be missing, and cells that may be empty


@dataclass(frozen=True)
class Answer:
    """One respondent's choice for one image."""

    respondent: str
    image: str
    alpha: int  # eigenpatches
    where: str  # file and line
    kind: str | None = None  # of `KINDS`; None where it is not said


def read_answers(files: Sequence[Path], most: Mapping[str, int]) -> list[Answer]:
    """All answers of some files.

    Parameters
    ----------
    files : sequence of Path
        UTF-8, separated by commas; columns beside the three and `kind` are ignored, and so are
        blank lines.
    most : mapping
        Of each image of the survey, the largest number of eigenpatches offered.

    Raises
    ------
    SurveyError
        At the first line that is no answer to this survey, answers an image twice, or has a
        respondent of another kind than before.
    """
    answers: dict[tuple[str, str], Answer] = {}
    kinds: dict[str, Answer] = {}
    for file in files:
        for answer in _read(file, most):
            said = kinds.setdefault(answer.respondent, answer)
            if said.kind != answer.kind:
                raise SurveyError(
                    f"{answer.where}: got the kind {answer.kind or ''!r} for "
                    f"{answer.respondent!r}, expected {said.kind or ''!r} as in {said.where}"
                )
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
        if header.count(KIND) > 1:
            raise SurveyError(f"{file}, line 1: got the column {KIND} twice, expected it once")
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
    kind = (row.get(KIND) or "").strip().lower() or None
    if kind is not None and kind not in KINDS:
        raise SurveyError(f"{where}: got the kind {kind!r}, expected {' or '.join(KINDS)} or none")
    return Answer(respondent, image, int(alpha), where, kind)
