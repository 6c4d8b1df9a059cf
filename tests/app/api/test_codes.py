"""The catalogue of codes holds what the source uses, and its page is up to date."""

import ast
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from app.api.catalogues import PAGE, render
from app.api.event_schemas import PAYLOADS
from app.http.codes import CODES
from worker.contract import EventType

ROOT = Path(__file__).parents[3]
PATHS = [path for part in ("app", "worker", "reucid_core") for path in (ROOT / part).rglob("*.py")]
# Where a call names its code: which of its arguments.
NAMED = {
    "Problem": 1,
    "_refuse": 1,
    "FormatError": 0,
    "LimitError": 0,
    "Failure": 0,
    "_fail": 0,
    "RevisionError": 0,
}
# Of files on the own machine: the server never sees them.
LOCAL = {"changed_file", "no_default", "unverified_bundle"}
# By status alone, as the framework raises them.
RAISED = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.REQUEST_TIMEOUT)


def _sources() -> Iterator[ast.AST]:
    for path in PATHS:
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def _named(node: ast.AST) -> str | None:
    """The code that a call or a class attribute names."""
    match node:
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=arguments):
            place = NAMED.get(called)
            named = arguments[place] if place is not None and place < len(arguments) else None
        case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant() as named):
            pass
        case _:
            return None
    return named.value if isinstance(named, ast.Constant) and isinstance(named.value, str) else None


def test_every_code_of_the_source_is_in_the_catalogue() -> None:
    used = {code for node in _sources() if (code := _named(node))} - LOCAL
    used |= {status.phrase.lower().replace(" ", "_") for status in RAISED}
    assert len(used) > 50
    assert used - CODES.keys() == set()


def test_every_code_of_the_catalogue_is_used() -> None:
    catalogue = ROOT / "app" / "http" / "codes.py"
    raised = {status.phrase.lower().replace(" ", "_") for status in RAISED}
    source = "".join(path.read_text(encoding="utf-8") for path in PATHS if path != catalogue)
    assert {name for name in CODES if f'"{name}"' not in source} - raised == set()


@pytest.mark.parametrize("name", CODES)
def test_a_code_says_what_it_means_and_what_to_do(name: str) -> None:
    code = CODES[name]
    assert code.meaning.endswith(".")
    assert code.remedy.endswith(".")
    assert code.statuses or code.by == ("job",)


def test_every_event_has_its_payload() -> None:
    assert list(PAYLOADS) == list(EventType)


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `make codes`"
