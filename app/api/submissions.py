"""What comes with a submission, in JSON or as the fields of a form, held against its schema."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.http.digests import DIGEST
from app.http.problems import FieldError, invalid, invalid_fields

TEXT: dict[str, Any] = {"type": "string"}

OBJECTS = {"params", "labels", "metadata"}  # JSON in a form

Schema = TypeVar("Schema", bound=BaseModel)


def validated(schema: type[Schema], body: bytes) -> Schema:
    """JSON as an object of a schema."""
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise invalid_fields(error.errors()) from error


def of_form(schema: type[Schema], fields: Mapping[str, str]) -> Schema:
    """The text fields of a form; those that hold objects are JSON."""
    values: dict[str, Any] = dict(fields)
    for name in OBJECTS & fields.keys():
        try:
            values[name] = json.loads(fields[name])
        except (ValueError, RecursionError) as error:
            message = f"got {fields[name][:80]!r}, expected a JSON object ({error})"
            raise invalid([FieldError(field=name, message=message)]) from error
    return validated(schema, json.dumps(values).encode())


def described(model: str, file: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """What a route says of its body.

    Parameters
    ----------
    model : str
        Schema of the JSON.
    file : mapping
        Schema of the form's `file`.
    name : str
        The field that names the batch.
    """
    properties = {
        "file": file,
        "params": {"$ref": "#/components/schemas/Params"},  # sent as JSON
        "priority": {"$ref": "#/components/schemas/Priority"},
        "external_id": TEXT,
        "sample_id": TEXT,
        name: TEXT,
        "labels": {"type": "object", "additionalProperties": TEXT},
        "metadata": {"type": "object", "additionalProperties": True},
    }
    form = {"type": "object", "required": ["file"], "properties": properties}
    content = {
        "application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}},
        "multipart/form-data": {"schema": form},
    }
    return {"parameters": [DIGEST], "requestBody": {"required": True, "content": content}}
