"""The OpenAPI document, as generators and linters take it."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.api.batch_schemas import BatchSpec
from app.api.event_schemas import PAYLOADS
from app.api.examples import EXAMPLES
from app.api.schemas import JobSpec
from app.http.problems import ProblemBody

REF = "#/components/schemas/{model}"
STREAM = "text/event-stream"
LIVE = ("SessionSpec", "Kept", "Ending")
SENT = (
    "BatchSpec",
    "JobChange",
    "JobSpec",
    "KeySpec",
    "Params",
    "RevisionSpec",
    "WebhookSpec",
    *LIVE,
)  # of what clients send
TAGS = {
    "images": "Uploaded files and what is in them.",
    "jobs": "Denoisings: submitted, watched, stopped, repeated, removed.",
    "batches": "Many images denoised alike.",
    "results": "What a job yields.",
    "sessions": "Live: frames in while the microscope scans, the newest result out.",
    "capabilities": "What this server can do.",
    "models": "The classifiers of this server.",
    "page": "Where everything is.",
    "webhooks": "Programs that are told when a job has ended.",
    "keys": "Who may do what; for administrators.",
    "admin": "All of a server at a glance, for administrators.",
    "health": "For whoever operates the server.",
}


def openapi(app: FastAPI) -> dict[str, Any]:
    """The application's document.

    Beside what its routes say: the bodies that they read from the stream themselves, the payloads
    of events, and that a server without keys asks for none.
    """
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        document["tags"] = [{"name": name, "description": TAGS[name]} for name in _tags(document)]
        document["components"]["schemas"] |= _schemas()
        _add_examples(document)
        for name in SENT:
            _tell_defaults(document["components"]["schemas"][name])
        for operation in _operations(document):
            _describe_stream(operation)
            # `{}`: on its own machine a server may do without keys.
            operation["security"] = [*operation.get("security", []), {}]
        app.openapi_schema = document
    return app.openapi_schema


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _tags(document: dict[str, Any]) -> list[str]:
    used = {tag for operation in _operations(document) for tag in operation["tags"]}
    return [name for name in TAGS if name in used]


def _schemas() -> dict[str, Any]:
    """Of what no route declares by a type."""
    sent: list[type[BaseModel]] = [BatchSpec, JobSpec]
    models: list[type[BaseModel]] = [*sent, ProblemBody, *PAYLOADS.values()]
    _, definitions = models_json_schema(
        [(model, "validation" if model in sent else "serialization") for model in models],
        ref_template=REF,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _add_examples(document: dict[str, Any]) -> None:
    """Those of events, and the others anew: FastAPI leaves out what is null in them."""
    for name, schema in document["components"]["schemas"].items():
        if name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name]]


def _tell_defaults(schema: dict[str, Any]) -> None:
    """Defaults in words: as keywords they make generated clients require or send them all.

    `GET /v1/schema/params` has them as keywords.
    """
    for field in schema["properties"].values():
        default = field.pop("default", None)
        if default is not None:
            told = f"By default `{json.dumps(default)}`."
            field["description"] = " ".join([*filter(None, [field.get("description")]), told])


def _describe_stream(operation: dict[str, Any]) -> None:
    """A stream of events in words of OpenAPI 3.1, which has no keyword for its items.

    It is a string: generators that are told of an object try to make one of the bytes.
    """
    content = operation["responses"].get("200", {}).get("content", {})
    if STREAM in content:
        payloads = [{"$ref": REF.format(model=payload.__name__)} for payload in PAYLOADS.values()]
        content[STREAM] = {
            "schema": {
                "type": "string",
                "description": "Events as they come: `id`, `event` (the type) and `data`, JSON as "
                "`contentSchema` has it. Resume with the header `Last-Event-ID`.",
                "contentMediaType": STREAM,
                "contentSchema": {"anyOf": payloads},
            }
        }
