"""What is known of the classifiers' weights without loading them, which would need torch."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import reucid_core
from reucid_core.errors import ModelError, ParameterError
from reucid_core.params import ScanNoise
from worker.settings import Settings

WEIGHTS = Path(reucid_core.__file__).parent / "weights"
DEFAULT = "tuned"
LARGEST_HEADER = 1 << 20  # bytes


@dataclass(frozen=True)
class ModelInfo:
    """A model as its file's own header describes it."""

    path: Path
    sha256: str
    card: dict[str, Any]

    @property
    def name(self) -> str:
        """What a job calls it."""
        return self.path.stem

    @property
    def identity(self) -> str:
        """As reports name it."""
        return f"{self.name}@sha256:{self.sha256}"


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which classifier a job is done with; sent among its parameters.

    Parameters
    ----------
    model : str, optional
        Its name; by default the server's.
    scan_noise : {"keep", "remove"}
        Whether row offsets and row jitter are data or artefact.
    """

    model: str | None = None
    scan_noise: ScanNoise = "keep"

    @classmethod
    def split(cls, params: Mapping[str, Any]) -> "tuple[ModelChoice, dict[str, Any]]":
        """A job's parameters: what is about the classifier, and the others."""
        names = {field.name for field in fields(cls)}
        mine = {name: value for name, value in params.items() if name in names}
        return cls(**mine), {name: v for name, v in params.items() if name not in names}


def default_path(settings: Settings) -> Path:
    """The weights of a job that names none."""
    return settings.model or WEIGHTS / f"{DEFAULT}.safetensors"


def available(settings: Settings) -> dict[str, ModelInfo]:
    """The readable models, by name, the default first.

    Of two with one name, the operator's wins over the bundled, REUCID_MODEL over the folder.
    """
    default = default_path(settings)
    paths = {path.stem: path for path in _paths(settings)}
    paths = {default.stem: default} | paths | {default.stem: default}
    found = {}
    for name, path in paths.items():
        try:
            found[name] = describe(path)
        except ModelError:
            continue  # `reucid doctor` tells of it
    return found


def damaged(settings: Settings) -> Iterator[str]:
    """Why files in the operator's folder are not offered."""
    for path in _paths(settings):
        try:
            describe(path)
        except ModelError as error:
            yield str(error)


def find(settings: Settings, name: str | None) -> ModelInfo:
    """The model of a name; the default without one.

    Raises
    ------
    ParameterError
        When there is none of that name.
    ModelError
        When the default cannot be read.
    """
    if name is None:
        return describe(default_path(settings))
    models = available(settings)
    if name not in models:
        raise ParameterError("model", f"got {name!r}, expected one of {', '.join(models)}")
    return models[name]


def find_digest(settings: Settings, sha256: str) -> ModelInfo | None:
    """The model whose file has a digest."""
    models = available(settings).values()
    return next((each for each in models if each.sha256 == sha256), None)


def describe(path: Path) -> ModelInfo:
    """The model in a safetensors file.

    Raises
    ------
    ModelError
        When it is missing, or no such file.
    """
    try:
        return _describe(path, path.stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise ModelError(f"no classifier weights at {path}") from error
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path.name} is not a readable safetensors file: {error}") from error


@lru_cache(maxsize=64)
def _describe(path: Path, _changed: int) -> ModelInfo:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= min(LARGEST_HEADER, len(content) - 8):
        raise ValueError("its header does not end")
    header = json.loads(content[8 : 8 + length])
    card = json.loads(header.get("__metadata__", {}).get("card", "{}"))
    return ModelInfo(path, hashlib.sha256(content).hexdigest(), card)


def _paths(settings: Settings) -> Iterator[Path]:
    yield from sorted(WEIGHTS.glob("*.safetensors"))
    if settings.model_dir is not None:
        yield from sorted(settings.model_dir.glob("*.safetensors"))
