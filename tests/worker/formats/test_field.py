"""Every kind of input that was once read wrong, in every format where it can occur."""

from pathlib import Path

import pytest

from tests import formats_table
from tests.support.field import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.format}-{case.name}")
def test_what_is_right(tmp_path: Path, case: Case) -> None:
    case.run(tmp_path)


def test_the_documents_table_of_kinds_is_up_to_date() -> None:
    document = formats_table.DOCUMENT.read_text(encoding="utf-8")
    assert formats_table.with_kinds(document) == document, "run `make formats`"
