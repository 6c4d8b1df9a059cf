"""Decomposed and labelled micrographs, kept on disk so that they are computed once."""

import pickle
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.exact import Transform, decompose_all
from reucid_core.params import DenoiseParams, ScanNoise
from reucid_core.plan import plan_exact
from reucid_core.training.labels.oracle import Components, Kept, SubsetError, image_oracle
from reucid_core.training.micrographs.recipes import Micrograph, Recipe, micrograph

VERSION = 3  # of what is kept on disk

Made = TypeVar("Made")


@dataclass(frozen=True)
class Labels:
    """Which eigenpatches are useful, by one decision about scan noise.

    Parameters
    ----------
    error : SubsetError
        Of the image fused from any subset.
    patch_oracle, image_oracle : ndarray, shape (k,), bool
        The two oracles' subsets.
    """

    error: SubsetError
    patch_oracle: Kept
    image_oracle: Kept

    def loss(self, kept: Kept) -> float:
        """PSNR in dB that a subset loses against the image oracle's; nothing kept: the first."""
        kept = kept if kept.any() else np.arange(len(kept)) == 0
        return self.error.psnr(self.image_oracle) - self.error.psnr(kept)

    def costs(self) -> NDArray[np.float64]:
        """PSNR in dB that a wrong verdict on each eigenpatch alone would cost, shape (k,)."""
        rise = self.error.flips(self.image_oracle) / self.error.squared_error(self.image_oracle)
        costs: NDArray[np.float64] = 10 * np.log10(1 + np.maximum(rise, 0.0))
        return costs


@dataclass(frozen=True)
class Example:
    """The labelled decomposition of one micrograph.

    Parameters
    ----------
    recipe : Recipe
    decomposition : Decomposition
        Of all patches in one stack.
    keep, remove : Labels
        By the two decisions about scan noise; the same object where there is none.
    """

    recipe: Recipe
    decomposition: Decomposition
    keep: Labels
    remove: Labels

    def labels(self, scan_noise: ScanNoise) -> Labels:
        """By the decision about scan noise."""
        return self.keep if scan_noise == "keep" else self.remove


def decompose_whole(noisy: FloatArray, patch_size: int | None) -> Decomposition:
    """The decomposition `reucid_core.denoise` offers to its classifier, by engine `exact`."""
    transform = Transform.of(noisy)
    plan = plan_exact(
        transform.correlation, noisy.shape, DenoiseParams(method="paper", patch_size=patch_size)
    )
    return decompose_all(transform, plan.p, plan.components)


def make_example(recipe: Recipe) -> Example:
    """Simulate, decompose and label one micrograph."""
    images = micrograph(recipe)
    decomposition = decompose_whole(images.noisy, recipe.patch_size)
    return example_of(recipe, images, decomposition, Components.of(decomposition, images.noisy))


def example_of(
    recipe: Recipe, images: Micrograph, decomposition: Decomposition, components: Components
) -> Example:
    """Label a micrograph that is decomposed."""

    def labels(truth: FloatArray) -> Labels:
        error, start = components.error(truth), components.patch_oracle(truth)
        return Labels(error, start, image_oracle(error, start))

    keep = labels(images.scanned)
    remove = labels(images.specimen) if recipe.rows else keep
    # Half the memory; the network reads float32 anyway.
    eigenpatches = decomposition.eigenpatches.astype(np.float32)
    return Example(recipe, replace(decomposition, eigenpatches=eigenpatches), keep, remove)


def make_examples(
    recipes: Sequence[Recipe],
    *,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Example]:
    """One example of each recipe, in their order, whatever the number of processes."""
    examples = []
    with ProcessPoolExecutor(processes) as pool:
        for done, example in enumerate(pool.map(_on_one_thread, recipes), start=1):
            examples.append(example)
            if progress is not None:
                progress(done, len(recipes))
    return examples


def _on_one_thread(recipe: Recipe) -> Example:
    with threadpool_limits(1):  # sums depend on how many threads share them
        return make_example(recipe)


def kept_examples(
    recipes: Sequence[Recipe],
    folder: Path,
    *,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Example]:
    """As `make_examples`; from the folder if the same recipes were made before."""
    make = partial(make_examples, recipes, processes=processes, progress=progress)
    return kept(f"{VERSION} {list(recipes)!r}", folder, make)


def kept(what: str, folder: Path, make: Callable[[], Made]) -> Made:
    """What was made of the same description before, from the folder, or made now.

    The file is a pickle: read only what this function wrote.
    """
    path = folder / f"examples-{sha256(what.encode()).hexdigest()[:16]}.pickle"
    if path.exists():
        found: Made = pickle.loads(path.read_bytes())  # noqa: S301
        return found
    made = make()
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(pickle.dumps(made, protocol=pickle.HIGHEST_PROTOCOL))
    unfinished.replace(path)
    return made


def split(
    examples: Sequence[Example], share: float, *, seed: int
) -> tuple[list[Example], list[Example]]:
    """Training and validation examples; an image's eigenpatches stay together.

    The share is taken of each specimen, so that both sides hold all of them; of two micrographs
    one validates, and where no specimen has two, the share is taken of all.

    Raises
    ------
    ValueError
        When there are fewer than two.
    """
    if len(examples) < 2:
        raise ValueError(f"got {len(examples)} micrographs, expected at least 2 to train with")
    rng = np.random.default_rng([seed, 2])
    training, validation = list[Example](), list[Example]()
    names = sorted({example.recipe.specimen.name for example in examples})
    for name in names if len(names) < len(examples) else [""]:
        group = [example for example in examples if name in ("", example.recipe.specimen.name)]
        order = rng.permutation(len(group))
        border = max(1, min(round(share * len(group)), len(group) - 1))
        training += [group[i] for i in order[:border]]
        validation += [group[i] for i in order[border:]]
    return training, validation


def without(examples: Iterable[Example], family: str) -> list[Example]:
    """The examples of all specimens of other families."""
    return [example for example in examples if example.recipe.specimen.family != family]
