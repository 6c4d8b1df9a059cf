"""Decompositions and labels of a survey in files: safetensors, without pickled objects."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from reucid_core.eigenpatches import Decomposition
from reucid_core.errors import SurveyError
from reucid_core.training.labels.survey import SurveyImage

DECOMPOSITION, LABELS = "reucid-decomposition", "reucid-survey-labels"

Tensors = Mapping[str, NDArray[Any]]


def decomposition_bytes(decomposition: Decomposition) -> bytes:
    """A decomposition as a safetensors file."""
    return save(_tensors(decomposition), metadata={"format": DECOMPOSITION})


def load_decomposition(path: Path) -> Decomposition:
    """A decomposition from its file.

    Raises
    ------
    SurveyError
    """
    tensors, _ = _read(path, DECOMPOSITION)
    return _decomposition(tensors, "", path)


def survey_bytes(images: Sequence[SurveyImage], about: Mapping[str, Any]) -> bytes:
    """The labelled decompositions of a survey as a safetensors file.

    Parameters
    ----------
    images : sequence of SurveyImage
    about : mapping
        What else is to be known of the survey, for its metadata.
    """
    tensors: dict[str, NDArray[Any]] = {}
    for n, each in enumerate(images):
        tensors |= _tensors(each.decomposition, f"{n}.")
        tensors[f"{n}.labels"] = each.labels
        tensors[f"{n}.choice"] = np.array([each.alpha, each.spread, each.respondents])
    names = json.dumps([each.image for each in images])
    metadata = {"format": LABELS, "images": names, "about": json.dumps(about, sort_keys=True)}
    return save(tensors, metadata=metadata)


def load_survey(path: Path) -> list[SurveyImage]:
    """The labelled decompositions that `reucid survey import` has written.

    Raises
    ------
    SurveyError
        When the file is missing, damaged or something else.
    """
    tensors, metadata = _read(path, LABELS)
    try:
        names = json.loads(metadata["images"])
        return [_image(tensors, n, name, path) for n, name in enumerate(names)]
    except (KeyError, ValueError, TypeError) as error:
        raise SurveyError(f"{path}: the survey's labels are damaged: {error!r}") from error


def _image(tensors: Tensors, n: int, name: str, path: Path) -> SurveyImage:
    decomposition = _decomposition(tensors, f"{n}.", path)
    alpha, spread, respondents = tensors[f"{n}.choice"].tolist()
    labels = tensors[f"{n}.labels"]
    if labels.dtype != np.bool_ or labels.shape != decomposition.singular_values.shape:
        raise ValueError(f"labels of {name!r} are {labels.dtype} of shape {labels.shape}")
    if not 1 <= alpha <= len(labels):
        raise ValueError(f"got the mean answer {alpha:g} for {name!r}, expected 1 to {len(labels)}")
    return SurveyImage(
        image=str(name),
        decomposition=decomposition,
        labels=labels,
        alpha=alpha,
        spread=spread,
        respondents=int(respondents),
    )


def _tensors(decomposition: Decomposition, prefix: str = "") -> dict[str, NDArray[Any]]:
    return {
        f"{prefix}eigenpatches": np.ascontiguousarray(decomposition.eigenpatches),
        f"{prefix}singular_values": np.ascontiguousarray(decomposition.singular_values),
        f"{prefix}n_patches": np.array([decomposition.n_patches], dtype=np.int64),
        f"{prefix}energy": np.array([decomposition.energy], dtype=np.float64),
    }


def _decomposition(tensors: Tensors, prefix: str, path: Path) -> Decomposition:
    try:
        eigenpatches, values, n_patches, energy = (
            tensors[prefix + name]
            for name in ("eigenpatches", "singular_values", "n_patches", "energy")
        )
        k, height, width = eigenpatches.shape
        if height != width or values.shape != (k,) or eigenpatches.dtype.kind != "f":
            raise ValueError(f"eigenpatches {eigenpatches.shape}, singular values {values.shape}")
        return Decomposition(eigenpatches, values, int(n_patches.item()), float(energy.item()))
    except (KeyError, ValueError) as error:
        raise SurveyError(f"{path}: the decomposition is damaged: {error}") from error


def _read(path: Path, format_: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise SurveyError(f"{path}: cannot be read: {error}") from error
    if metadata.get("format") != format_:
        got = metadata.get("format", "none")
        raise SurveyError(f"{path}: got a file of format {got!r}, expected {format_!r}")
    return tensors, metadata
