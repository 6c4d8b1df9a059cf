"""What is known of classifiers without loading them, which would need torch: names, hashes, cards.

A client names a classifier, never a file: names are looked up among those there are, and no path
is ever made of one.
"""

import hashlib
import json
import math
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

import reucid_core
from reucid_core.errors import ModelError, ParameterError
from worker.settings import KIB, MIB, Settings

WEIGHTS = Path(reucid_core.__file__).parent / "weights"
SUFFIX = ".safetensors"
DEFAULT = "tuned"  # of the bundled ones
MARK, KIND = "format", "reucid-classifier-2"  # of a model card that `load_classifier` takes
LARGEST = 64 * MIB  # bytes of a file
LONGEST_NAME = 200
LONGEST_CARD = 64 * KIB  # characters; those of the bundled ones have two thousand
DEEPEST_CARD = 16
MOST_KNOWN = 256  # files that are read once
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class ModelInfo:
    """A model as its file describes it."""

    name: str
    sha256: str
    card: dict[str, Any]

    @property
    def identity(self) -> str:
        """As reports name it."""
        return f"{self.name}@sha256:{self.sha256}"


@dataclass(frozen=True)
class Models:
    """The classifiers of a machine by name: the server's own, the bundled ones, those of a folder.

    Parameters
    ----------
    stated : Path, optional
        A file that is taken by default; otherwise a bundled one is.
    folder : Path, optional
        Where further files lie, which may come and go.
    """

    stated: Path | None = None
    folder: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Models":
        return cls(settings.model, settings.model_dir)

    @property
    def default(self) -> str:
        """Name of the one that is taken where none is named."""
        return DEFAULT if self.stated is None else self.stated.stem

    def files(self) -> dict[str, Path]:
        """Files by name, the default first, whether or not they can be used."""
        found: dict[str, Path] = {}
        for path in self._candidates():
            found.setdefault(path.stem, path)
        return {
            name: found[name]
            for name in sorted(found, key=lambda each: (each != self.default, each))
        }

    def offered(self) -> dict[str, ModelInfo]:
        """What can be used, by name, the default first."""
        found = {}
        for name, path in self.files().items():
            try:
                found[name] = describe(path)
            except ModelError:
                continue  # `reucid doctor` says why
        return found

    def expect(self, name: str | None) -> None:
        """Refuse a name that is not offered; the default goes without saying.

        Raises
        ------
        ParameterError
            It names those that are.
        """
        offered = self.offered()
        if name is not None and name not in offered:
            expected = f"one of {', '.join(offered)}" if offered else "none, as there is none"
            raise ParameterError("model", f"got {name[:LONGEST_NAME]!r}, expected {expected}")

    def find(self, name: str | None) -> Path:
        """The file of a named classifier, or of the default.

        Raises
        ------
        ParameterError
            When there is none of that name.
        ModelError
            When its file cannot be used.
        """
        path = self._default_file if name is None else self.files().get(name)
        if path is None:
            self.expect(name)
            raise ModelError(f"the classifier {name!r} was removed just now")  # between two looks
        describe(path)
        return path

    def with_digest(self, sha256: str) -> Path | None:
        """The file of these very weights, whatever it is called."""
        files = self.files()
        named = [name for name, info in self.offered().items() if info.sha256 == sha256]
        return files[named[0]] if named else None

    def overlooked(self) -> Iterator[tuple[str, str]]:
        """Files of the folder that have no place among the others, and why."""
        files = self.files()
        for path in self._of_the_folder():
            if not _can_be_named(path):
                yield ascii(path.name), f"its name is not printable or over {LONGEST_NAME} long"
            elif files[path.stem].resolve() != path.resolve():
                yield path.name, f"another file already has the name {path.stem}"

    def check(self) -> None:
        """Refuse to begin with what cannot work.

        Raises
        ------
        ModelError
            When the default cannot be used, or the folder is not there.
        """
        describe(self._default_file)
        if self.folder is not None and not self.folder.is_dir():
            raise ModelError(f"no folder of classifiers at {self.folder}: see REUCID_MODEL_DIR")

    @property
    def _default_file(self) -> Path:
        return self.stated or WEIGHTS / f"{DEFAULT}{SUFFIX}"

    def _candidates(self) -> Iterator[Path]:
        """In the order in which they get a name that several have."""
        if self.stated is not None:
            yield self.stated
        yield from sorted(WEIGHTS.glob(f"*{SUFFIX}"))
        yield from filter(_can_be_named, self._of_the_folder())

    def _of_the_folder(self) -> list[Path]:
        return [] if self.folder is None else sorted(self.folder.glob(f"*{SUFFIX}"))


def _can_be_named(path: Path) -> bool:
    """Whether a client can send the name, and any document hold it."""
    return path.stem.isprintable() and len(path.stem) <= LONGEST_NAME


def describe(path: Path) -> ModelInfo:
    """The model in a safetensors file.

    Raises
    ------
    ModelError
        When the file is missing, damaged or of another kind.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise ModelError(f"no file {path.name}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise ModelError(f"{path.name} is not a file")
    if found.st_size > LARGEST:
        raise ModelError(
            f"{path.name} has {found.st_size} bytes, expected a classifier of at most {LARGEST}"
        )
    described = _describe(path, found.st_mtime_ns, found.st_size)
    if isinstance(described, str):
        raise ModelError(f"{path.name} {described}")
    return described


@lru_cache(maxsize=MOST_KNOWN)
def _describe(path: Path, _changed: int, _size: int) -> ModelInfo | str:
    """The model, or why there is none: a bad file, too, is read once."""
    try:
        content = path.read_bytes()
        tensors = safetensors.numpy.load(content)
        card = _card(content)
        _check_sizes(card, len(content))
    except (*UNREADABLE, SafetensorError, OSError) as error:
        return f"is not a readable safetensors file: {ascii(str(error))[1:-1][:LONGEST_NAME]}"
    except ModelError as error:
        return str(error)
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        return "holds weights that are not finite"
    return ModelInfo(path.stem, hashlib.sha256(content).hexdigest(), card)


def _card(content: bytes) -> dict[str, Any]:
    """The model card: an object that every document which quotes it can hold."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    text = header.get("__metadata__", {}).get("card", "{}")
    if len(text) > LONGEST_CARD:
        raise ModelError(f"holds a card of {len(text)} characters, at most {LONGEST_CARD} are read")
    card = json.loads(text)
    kind = card.get(MARK) if isinstance(card, dict) else None
    if kind != KIND:
        got = ascii(kind)[:LONGEST_NAME]
        raise ModelError(f"holds {MARK} {got}, expected {KIND!r}")
    _check_value(card, DEEPEST_CARD)
    return dict(card)


def _check_value(value: Any, depth: int) -> None:
    match value:
        case dict() | list() if depth == 0:
            raise ModelError(f"holds a card of a depth over {DEEPEST_CARD}")
        case dict():
            for each in (*value.keys(), *value.values()):
                _check_value(each, depth - 1)
        case list():
            for each in value:
                _check_value(each, depth - 1)
        case str() if "\0" in value or (not value.isascii() and _is_broken(value)):
            raise ModelError("holds a card with characters that are no text")
        case float() if not math.isfinite(value):
            raise ModelError("holds a card with numbers that are not finite")


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _check_sizes(card: dict[str, Any], size: int) -> None:
    """A network is built as its card says, before its weights are put there."""
    sizes = [
        int(each)
        for name in ("channels", "widths")
        for each in card.get("architecture", {}).get(name, [])
    ]
    if sum(abs(n * m) for n, m in pairwise([1, *sizes])) > size:
        raise ModelError("holds a card that tells of more weights than are in the file")
