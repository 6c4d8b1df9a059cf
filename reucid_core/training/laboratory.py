"""What ``reucid train``, ``tune`` and ``evaluate`` do: arguments in, lines of progress out."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from reucid_core.classifier import PAPER_TWO_HIDDEN, WEIGHTS, Architecture, load_classifier
from reucid_core.errors import ModelError
from reucid_core.params import ScanNoise
from reucid_core.training.judging.contenders import TRAINING_SHARE
from reucid_core.training.judging.evaluate import PATCH_SIZES, Found
from reucid_core.training.judging.evaluate import evaluate as leave_out
from reucid_core.training.judging.rivals import available
from reucid_core.training.judging.scales import Verdicts, evaluate_scales, tables
from reucid_core.training.labels.examples import Example, kept_examples, split
from reucid_core.training.labels.scales import kept_scales
from reucid_core.training.labels.survey import SurveyImage
from reucid_core.training.labels.survey_files import load_survey
from reucid_core.training.micrographs.drawing import draw_recipes, draw_scanned
from reucid_core.training.networks.card import (
    model_card,
    readable,
    survey_card,
    survey_model_card,
)
from reucid_core.training.networks.dataset import Batch, surveyed_datapoints
from reucid_core.training.networks.fit import DECISIONS, Epoch, Fit, FitOptions, fit, write
from reucid_core.training.networks.options import LOOKS, VALUES, read_options, write_options
from reucid_core.training.networks.survey_fit import SurveyFit, fit_survey
from reucid_core.training.showing.experiment import Experiment, show
from reucid_core.training.showing.gallery import draw
from reucid_core.training.showing.score_tables import report

if TYPE_CHECKING:
    import optuna

SCALES_EPOCH = 4096  # datapoints in an epoch of the networks of method two-scale


def options_of(model: str, *, seed: int, epochs: int | None = None) -> FitOptions:
    """How a model of this name is trained."""
    options = read_options() if model == "tuned" else FitOptions()
    if model == "paper-2830":
        options = replace(options, architecture=PAPER_TWO_HIDDEN)
    return replace(options, seed=seed, epochs=options.epochs if epochs is None else epochs)


@dataclass(frozen=True)
class Simulated:
    """The labelled micrographs of the training.

    Parameters
    ----------
    each, invented, multislice : int
        Micrographs of each known crystal, of crystals invented at random, and of each material
        simulated by multislice.
    seed : int
    """

    each: int
    invented: int
    multislice: int
    seed: int

    @property
    def nothing(self) -> bool:
        """Whether nothing is simulated."""
        return not (self.each or self.invented or self.multislice)

    @property
    def arguments(self) -> str:
        """On the command line."""
        return (
            f"--each {self.each} --invented {self.invented} --multislice {self.multislice} "
            f"--seed {self.seed}"
        )


def training_examples(simulated: Simulated, *, cache: Path, processes: int) -> list[Example]:
    """The labelled micrographs of the training, from the cache if they are there."""
    drawn = draw_recipes(
        simulated.each, simulated.invented, simulated.multislice, seed=simulated.seed
    )
    examples = list[Example]()
    for origin, recipes in drawn.items():
        say(origin)
        examples += kept_examples(recipes, cache, processes=processes, progress=_report_example)
    count = sum(len(example.decomposition.eigenpatches) for example in examples)
    say(f"{len(examples)} micrographs, {count} eigenpatches")
    return examples


def train(
    models: Sequence[str],
    simulated: Simulated,
    *,
    threads: int,
    processes: int,
    cache: Path,
    folder: Path,
    survey: Path | None = None,
    survey_weight: float = 0.1,
    epochs: int | None = None,
) -> None:
    """Train weights files on all specimens, and write their cards.

    With a survey, people's labels are learned beside those of the simulated micrographs; stopping,
    calibration and threshold remain the latter's. Without any simulated micrograph all of it is the
    survey's.

    Raises
    ------
    SurveyError, ValueError
        When there is too little to learn from.
    """
    surveyed = load_survey(survey) if survey else []
    about = survey_card(survey, surveyed) if survey else None
    command = f"reucid train {simulated.arguments} --threads {threads}"
    if survey:
        command += f" --survey {survey.name}"
    if survey and not simulated.nothing:
        command += f" --survey-weight {survey_weight:g}"
    if epochs is not None:
        command += f" --epochs {epochs}"
    if simulated.nothing:
        with limited(threads):
            for model in models:
                options = options_of(model, seed=simulated.seed, epochs=epochs)
                found = [_fitted_to_survey(model, d, surveyed, options) for d in DECISIONS]
                card = survey_model_card(
                    model, found, surveyed, options=options, command=command, survey=about or {}
                )
                write(found, folder / f"{model}.safetensors", card)
        write_page(folder)
        return
    examples = training_examples(simulated, cache=cache, processes=processes)
    training, validation = split(examples, TRAINING_SHARE, seed=simulated.seed)
    with limited(threads):
        for model in models:
            options = options_of(model, seed=simulated.seed, epochs=epochs)
            people = surveyed_datapoints(surveyed, options.architecture.inputs, cost=survey_weight)
            fits = [_fitted(model, d, training, validation, options, people) for d in DECISIONS]
            card = model_card(
                model, fits, training, validation, options=options, command=command, survey=about
            )
            write(fits, folder / f"{model}.safetensors", card)
    write_page(folder)


def tune(
    simulated: Simulated,
    *,
    trials: int,
    epochs: int,
    threads: int,
    processes: int,
    cache: Path,
    study: Path,
) -> None:
    """Search until the study holds enough trials, and keep the best options for training."""
    import optuna  # of the extra `laboratory`, for the search alone

    from reucid_core.training.networks.tune import open_study
    from reucid_core.training.networks.tune import tune as search

    examples = training_examples(simulated, cache=cache, processes=processes)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with limited(threads):
        # A seed for each process: two that search together must not try the same.
        opened = open_study(study, seed=simulated.seed + os.getpid())
        best = search(examples, opened, trials=trials, epochs=epochs, progress=_report_trial)
    write_options(replace(best, seed=simulated.seed))
    say(f"best: {opened.best_value:.3f} dB with {opened.best_params}")


def evaluate(
    simulated: Simulated,
    *,
    models: Sequence[str],
    sizes: Sequence[int] | None = None,
    images: int,
    epochs: int | None,
    processes: int,
    cache: Path,
    output: Path,
    experiments: Sequence[Experiment] = (),
    patch_size: int | None = None,
) -> None:
    """Leave out each family in turn; write scores, tables and pictures, also of experiments."""
    examples = training_examples(simulated, cache=cache, processes=processes)
    options = {name: options_of(name, seed=simulated.seed, epochs=epochs) for name in models}
    rivals, missing = available()
    for name, module in missing.items():
        say(f"without {name}: {module} is not installed (extra `bench`)")
    output.mkdir(parents=True, exist_ok=True)
    shown = show(experiments, output, patch_size=patch_size)
    found = list[Found]()
    for one in leave_out(
        examples,
        options,
        rivals=rivals,
        n_each=images,
        processes=processes,
        patch_sizes=sizes or PATCH_SIZES,
    ):
        found.append(one)
        say(f"without {one.family}: {len(one.scores)} scores")
        scores = [score for each in found for score in each.scores]
        (output / "scores.json").write_text(json.dumps([asdict(each) for each in scores]))
        (output / "tables.md").write_text(report(scores))
    if "tuned" in options:
        draw(found, output)
    with (output / "tables.md").open("a") as tables:
        tables.writelines(f"\n{each}" for each in shown)
    say((output / "tables.md").read_text())


def evaluate_two_scale(
    simulated: Simulated, *, epochs: int, processes: int, cache: Path, output: Path
) -> None:
    """Leave out each family in turn at both scales; write what came of it and tables."""
    recipes = draw_scanned(simulated.invented, simulated.multislice, seed=simulated.seed)
    examples = {
        decision: kept_scales(
            recipes, decision, cache, processes=processes, progress=_report_example
        )
        for decision in DECISIONS
    }
    options = replace(
        options_of("tuned", seed=simulated.seed),
        architecture=Architecture(channels=(6, 8), widths=(32,), inputs=VALUES + LOOKS),
        epochs=epochs,
        epoch_size=SCALES_EPOCH,
    )
    output.mkdir(parents=True, exist_ok=True)
    found = list[Verdicts]()
    for one in evaluate_scales(examples, options, processes=processes):
        found.append(one)
        say(f"without {one.family}: {len(one.wholes)} denoisings, c {one.multiples}")
        (output / "scales.md").write_text(tables(found))
    say((output / "scales.md").read_text())


def write_page(folder: Path = WEIGHTS) -> None:
    """The cards of a folder's weights, for people."""
    cards, digests = dict[str, Mapping[str, Any]](), dict[str, str]()
    for path in sorted(folder.glob("*.safetensors")):
        try:
            cards[path.name] = load_classifier(path).card
        except ModelError:  # such as a survey's labels
            continue
        digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "README.md").write_text(readable(digests, cards))


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Sums depend on how many threads share them: fixed, the weights repeat."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


def _fitted(
    model: str,
    decision: ScanNoise,
    training: Sequence[Example],
    validation: Sequence[Example],
    options: FitOptions,
    people: Batch | None,
) -> Fit:
    start = time.perf_counter()
    fitted = fit(
        training, validation, options, scan_noise=decision, people=people, progress=_report_epoch
    )
    say(
        f"{model}, scan noise {decision}: threshold {fitted.threshold:g}, mean loss on validation "
        f"images {fitted.losses.mean():.3f} dB, {time.perf_counter() - start:.0f} s"
    )
    return fitted


def _fitted_to_survey(
    model: str, decision: ScanNoise, images: Sequence[SurveyImage], options: FitOptions
) -> SurveyFit:
    start = time.perf_counter()
    fitted = fit_survey(images, options, scan_noise=decision, progress=_report_epoch)
    if fitted.folds > 1:
        say(
            f"{len(images)} images are few: threshold and calibration are from cross-validation in "
            f"{fitted.folds} parts, the network has seen all of them"
        )
    say(
        f"{model}, scan noise {decision}: threshold {fitted.threshold:g}, on images held back "
        f"{np.abs(fitted.misses).mean():.1f} eigenpatches from people's mean answer, "
        f"{time.perf_counter() - start:.0f} s"
    )
    return fitted


def _report_example(done: int, total: int) -> None:
    if done % 50 == 0 or done == total:
        say(f"micrograph {done} of {total}")


def _report_epoch(epoch: Epoch) -> None:
    say(
        f"  epoch {epoch.number}: loss {epoch.training_loss:.4f} in training, "
        f"{epoch.validation_loss:.4f} in validation"
    )


def _report_trial(trial: "optuna.trial.FrozenTrial") -> None:
    worst = trial.user_attrs["worst"]
    say(f"trial {trial.number}: {trial.value:.3f} dB, worst {worst:.2f}, {trial.params}")


def say(line: str) -> None:
    """One line of progress."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
