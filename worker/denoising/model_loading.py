"""Loads the classifiers that jobs choose, each once; with torch, so for workers alone."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch

from reucid_core import noise_floor
from reucid_core.classifier import Classifier, load_classifier
from reucid_core.eigenpatches import Classify
from reucid_core.errors import ModelError, ParameterError
from reucid_core.params import ScanNoise
from reucid_core.plan import choose_way
from worker.denoising.model_choice import ModelChoice
from worker.denoising.model_files import Models, describe
from worker.denoising.params import JobParams

MOST_LOADED = 32


def judge_of(models: Models, params: JobParams) -> Classify:
    """Who judges a job's eigenpatches: the rule of the noise floor, or the chosen classifier.

    Raises
    ------
    ModelError
        As `chosen_classifier`.
    """
    named = params.choice.model is not None
    if not named and choose_way(params.denoising, noise_floor).method == "two-scale":
        return noise_floor  # no network was trained on whitened images yet
    by_paper = replace(params.denoising, method="paper")
    return chosen_classifier(models, params.choice, by_paper.scan_noise_decision)


def chosen_classifier(
    models: Models, choice: ModelChoice, scan_noise: ScanNoise = "keep"
) -> Classifier:
    """The classifier that a job chose, loaded when it first is.

    Raises
    ------
    ModelError
        When it is not there, or not any more, or damaged. The message has no path in it.
    """
    try:
        return classifier_at(models.find(choice.model), scan_noise)
    except ParameterError as error:  # it was there when the job was accepted
        raise ModelError(f"the classifier is gone: {error.reason}") from error
    except ModelError as error:
        name = models.default if choice.model is None else choice.model
        raise ModelError(f"the classifier {name!r} cannot be used: {error}") from error


def classifier_at(path: Path, scan_noise: ScanNoise) -> Classifier:
    """The classifier in a file, for a decision about scan noise; read again when the file changes.

    Raises
    ------
    ModelError
        Its message has no path in it.
    """
    try:
        describe(path)  # what is not offered is not loaded
        found = path.stat()
        return _load(path, scan_noise, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise ModelError(f"no classifier weights {path.stem}") from error
    except ModelError as error:
        raise ModelError(str(error).replace(str(path), path.name)) from error


@lru_cache(maxsize=MOST_LOADED)
def _load(path: Path, scan_noise: ScanNoise, _changed: int, _size: int) -> Classifier:
    """One thread: a torch whose thread pool was started before a fork hangs in the child."""
    torch.set_num_threads(1)
    return load_classifier(path, scan_noise=scan_noise)
