"""Ways to choose eigenpatches, made without a family of crystals: networks and rules."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from reucid_core.classifier import Classifier
from reucid_core.eigenpatches import Decomposition
from reucid_core.params import ScanNoise, Select
from reucid_core.training.judging import baselines
from reucid_core.training.labels.examples import Example, split, without
from reucid_core.training.labels.oracle import Kept
from reucid_core.training.networks.fit import DECISIONS, FitOptions, as_classifier, fit
from reucid_core.verdict import selected

TRAINING_SHARE = 0.8  # paper, "Dataset creation"
TUNED_RULES: dict[str, Callable[[Sequence[baselines.TuningExample]], baselines.Rule]] = {
    "best c sigma^2 N": baselines.best_noise_multiple,
    "best s_k/s_0": baselines.best_relative_value,
    "best alpha": baselines.best_truncation,
    "gradient": baselines.best_gradient,
    "entropy": baselines.best_entropy,
}
FIXED_RULES: dict[str, baselines.Rule] = {
    "2 sigma^2 N": baselines.noise_multiple,
    "Gavish-Donoho": baselines.gavish_donoho,
    "Marchenko-Pastur edge": baselines.marchenko_pastur_edge,
    "s_k/s_0 > 0.1": partial(baselines.relative_singular_value, threshold=0.1),
    "first 10": partial(baselines.truncation, alpha=10),
}


@dataclass(frozen=True)
class Contender:
    """A way to choose eigenpatches, for one decision about scan noise or for both."""

    method: str
    rule: baselines.Rule
    scan_noise: ScanNoise | None = None


@dataclass(frozen=True)
class Network:
    """A classifier's verdicts, as a rule."""

    classify: Classifier
    select: Select = "any"

    def __call__(self, decomposition: Decomposition) -> Kept:
        """What it keeps, shape (k,)."""
        return selected(self.classify(decomposition) >= self.classify.threshold, self.select)


def contenders_without(
    examples: Sequence[Example], family: str, options: dict[str, FitOptions]
) -> list[Contender]:
    """Networks and rules, trained and calibrated on all other families.

    Parameters
    ----------
    examples : sequence of Example
    family : str
    options : dict of FitOptions
        Of each network, by its name.
    """
    training, validation = split(without(examples, family), TRAINING_SHARE, seed=0)
    return [
        *_networks(training, validation, options),
        *_tuned_rules(validation),
        *(Contender(name, rule) for name, rule in FIXED_RULES.items()),
    ]


def _networks(
    training: Sequence[Example], validation: Sequence[Example], options: dict[str, FitOptions]
) -> Iterator[Contender]:
    for name, chosen in options.items():
        for decision in DECISIONS:
            fitted = fit(training, validation, chosen, scan_noise=decision)
            classify = as_classifier(fitted.network, fitted.threshold)
            yield Contender(name, Network(classify), decision)
            yield Contender(f"{name}, leading", Network(classify, "leading"), decision)


def _tuned_rules(validation: Sequence[Example]) -> Iterator[Contender]:
    for decision in DECISIONS:
        examples = [
            baselines.TuningExample(e.decomposition, e.labels(decision).error) for e in validation
        ]
        for name, tuned in TUNED_RULES.items():
            yield Contender(name, tuned(examples), decision)
