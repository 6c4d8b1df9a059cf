"""`python -m app.api.catalogues` writes docs/codes.md anew: every code, and every event."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from app.api.event_schemas import PAYLOADS, JobEvent
from app.http.codes import CODES

PAGE = Path(__file__).parents[2] / "docs" / "codes.md"

HEAD = """\
# Codes and events

Made from the source by `make codes`. A problem document (RFC 9457, `application/problem+json`)
names its `code`; so does the `error` of a failed job, and the event that says so. Codes keep their
names and meanings; new ones may come, so treat one that you do not know by its status.

## Codes

| code | status | meaning | what to do |
|---|---|---|---|
"""
MIDDLE = """
## Events

`GET /v1/jobs/{id}/events` sends server-sent events: `id` (resume with the header `Last-Event-ID`),
`event` (the name below) and `data`, a JSON object. Every one has `job_id`, `attempt` and `at`
(ISO 8601, UTC); ignore fields that you do not know.

| event | when | further fields |
|---|---|---|
"""


def render() -> str:
    """The page as the source has it."""
    return HEAD + _lines(_codes()) + MIDDLE + _lines(_events())


def _lines(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _codes() -> Iterator[tuple[str, ...]]:
    for name, code in sorted(CODES.items()):
        statuses = [str(status) for status in code.statuses]
        seen = statuses + ["failed job"] * ("job" in code.by)
        yield f"`{name}`", ", ".join(seen), code.meaning, code.remedy


def _events() -> Iterator[tuple[str, ...]]:
    for type_, payload in PAYLOADS.items():
        own = [name for name in payload.model_fields if name not in JobEvent.model_fields]
        fields = ", ".join(_field(payload, name) for name in own)
        yield f"`{type_}`", (payload.__doc__ or "").strip(), fields or "none"


def _field(payload: type[JobEvent], name: str) -> str:
    described = payload.model_fields[name].description
    return f"`{name}`: {described}" if described else f"`{name}`"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
