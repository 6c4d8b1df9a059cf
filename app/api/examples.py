"""Examples of what the API answers, as a server gave them; shown in its document."""

import json
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

EXAMPLES: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))


def example(name: str) -> ConfigDict:
    """Configuration of the model of this name."""
    return ConfigDict(json_schema_extra={"examples": [EXAMPLES[name]]})
