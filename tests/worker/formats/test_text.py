"""Text of files and people, as tables of others take it."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from worker.formats.text import cell


@given(st.text())
def test_a_cell_is_one_line_and_no_formula(text: str) -> None:
    made = cell(text)
    assert not made.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert len(made.splitlines()) <= 1
    line = io.StringIO()
    csv.writer(line).writerow([made])
    assert next(csv.reader([line.getvalue()])) == [made]


@given(st.text(alphabet="abc 1=+-@"))
def test_nothing_but_spaces_is_lost(text: str) -> None:
    line = " ".join(text.split())
    assert cell(text) in (line, f"'{line}")
    assert (cell(text) == line) is not line.startswith(("=", "+", "-", "@"))
