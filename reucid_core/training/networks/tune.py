"""Search of the network's sizes, inputs and training, by Optuna.

A trial is trained without some families of crystals and judged by them, for both decisions about
scan noise: what is looked for is a network that holds where it has never been.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna

from reucid_core.classifier import Architecture
from reucid_core.training.labels.examples import Example
from reucid_core.training.networks.fit import DECISIONS, FitOptions, fit
from reucid_core.training.networks.options import INPUTS

STUDY = "tuned"
JUDGES = ("wurtzite", "bronze", "perovskite")  # families that no trial is trained on


def open_study(path: Path, *, seed: int) -> optuna.Study:
    """The study kept in an SQLite file; a new one when there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        storage=f"sqlite:///{path}",
        study_name=STUDY,
        load_if_exists=True,
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=6),
    )


def tune(
    examples: Sequence[Example],
    study: optuna.Study,
    *,
    trials: int,
    epochs: int = 12,
    progress: Callable[[optuna.trial.FrozenTrial], None] | None = None,
) -> FitOptions:
    """Run trials until the study holds so many that ended; the best options found.

    Parameters
    ----------
    examples : sequence of Example
    study : optuna.Study
        Trials that it holds already count.
    trials : int
    epochs : int
        Of a trial.
    progress : callable, optional
        Called after each trial.
    """
    training = [e for e in examples if e.recipe.specimen.family not in JUDGES]
    judging = [e for e in examples if e.recipe.specimen.family in JUDGES]

    def objective(trial: optuna.Trial) -> float:
        options = replace(suggest(trial), epochs=epochs)
        losses = [
            fit(training, judging, options, scan_noise=decision).losses for decision in DECISIONS
        ]
        trial.set_user_attr("worst", float(np.concatenate(losses).max()))
        return float(np.concatenate(losses).mean())

    def report(_study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if progress is not None:
            progress(trial)

    ended = optuna.study.MaxTrialsCallback(trials, states=(optuna.trial.TrialState.COMPLETE,))
    if len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))) < trials:
        study.optimize(objective, callbacks=[report, ended])
    return suggest(optuna.trial.FixedTrial(study.best_params))


def suggest(trial: optuna.trial.BaseTrial) -> FitOptions:
    """Options of a trial."""
    architecture = Architecture(
        channels=(
            trial.suggest_categorical("channels_1", [6, 10, 14, 20]),
            trial.suggest_categorical("channels_2", [8, 15, 24]),
        ),
        widths=(trial.suggest_categorical("width_1", [16, 32, 48, 64]),)
        + (trial.suggest_categorical("width_2", [16]),) * trial.suggest_int("more_layers", 0, 1),
        inputs=INPUTS[trial.suggest_categorical("inputs", list(INPUTS))],
    )
    return FitOptions(
        architecture=architecture,
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 2e-2, log=True),
        weight_cap=trial.suggest_float("weight_cap", 0.2, 3.0, log=True),
        weight_floor=trial.suggest_float("weight_floor", 1e-3, 2e-2, log=True),
    )
