"""The committed OpenAPI document is the application's."""

import json
from dataclasses import fields

import pytest

from app.api import batch_schemas, event_schemas, schemas, webhook_schemas
from app.api.examples import EXAMPLES
from app.api.live import schemas as live_schemas
from app.api.openapi import DOCUMENT, render
from app.api.routes import admin, capabilities
from app.api.schemas import Params
from reucid_core import DenoiseParams
from worker.denoising.model_choice import ModelChoice
from worker.denoising.selection import Selection

MODULES = (
    *(schemas, batch_schemas, capabilities, event_schemas, webhook_schemas, admin),
    live_schemas,
)
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


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_what_its_schema_says(name: str) -> None:
    (model,) = (vars(m)[name] for m in MODULES if name in vars(m))
    assert model.model_validate(EXAMPLES[name]).model_dump(mode="json") == EXAMPLES[name]


def test_every_answer_in_json_has_an_example() -> None:
    components = json.loads(DOCUMENT.read_text(encoding="utf-8"))["components"]["schemas"]
    objects = {name for name, schema in components.items() if schema.get("type") == "object"}
    assert not [name for name in objects if "example" not in json.dumps(components[name])]


def test_every_tag_is_described() -> None:
    document = json.loads(render())
    used = {
        tag
        for path in document["paths"].values()
        for operation in path.values()
        for tag in operation["tags"]
    }
    assert used == {tag["name"] for tag in document["tags"]}
