"""`python -m app.api.openapi` writes the committed OpenAPI document anew."""

import json
from pathlib import Path

from app.api.main import create_app

DOCUMENT = Path(__file__).parents[2] / "openapi" / "openapi.json"


def render() -> str:
    """The document of the application as it is."""
    return json.dumps(create_app().openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(render(), encoding="utf-8")
