"""What is known of the classifier's weights without loading them, which would need torch."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import reucid_core

BUNDLED = Path(reucid_core.__file__).parent / "weights" / "paper.safetensors"


@dataclass(frozen=True)
class ModelInfo:
    """A model as its file's own header describes it."""

    name: str
    sha256: str
    card: dict[str, Any]

    @property
    def identity(self) -> str:
        """As reports name it."""
        return f"{self.name}@sha256:{self.sha256}"


def describe(path: Path | None) -> ModelInfo:
    """The model in a safetensors file; the bundled one by default."""
    path = path or BUNDLED
    return _describe(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _describe(path: Path, _changed: int) -> ModelInfo:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    card = json.loads(header.get("__metadata__", {}).get("card", "{}"))
    return ModelInfo(path.stem, hashlib.sha256(content).hexdigest(), card)
