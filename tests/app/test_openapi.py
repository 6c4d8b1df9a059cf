"""The committed OpenAPI document is the application's."""

from dataclasses import fields

from app.openapi import DOCUMENT, render
from app.schemas import Params
from reucid_core import DenoiseParams
from worker.choice import ModelChoice
from worker.selection import Selection

SERVERS_OWN = {"memory_budget", "threads"}


def test_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run `make openapi`"


def test_schema_has_the_cores_parameters_and_defaults() -> None:
    core = {
        field.name: field.default
        for each in (DenoiseParams, Selection, ModelChoice)
        for field in fields(each)
    }
    schema = {name: field.default for name, field in Params.model_fields.items()}
    assert schema == {name: core[name] for name in core.keys() - SERVERS_OWN}
