"""The stated number of threads is what every library uses."""

from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from threadpoolctl import threadpool_info

from reucid_core import Decomposition, DenoiseParams, denoise


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("method", "engine"), [("paper", "exact"), ("paper", "stacked"), ("two-scale", "exact")]
)
def test_every_library_keeps_to_the_threads(
    method: Any, engine: Any, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for name in ("rfft2", "irfft2"):
        transform = getattr(scipy.fft, name)

        def counted(*args: Any, transform: Any = transform, **options: Any) -> Any:
            if args[0].size > 1000 * 11:  # an image, not a patch
                seen.append(options.get("workers", 1))
            return transform(*args, **options)

        monkeypatch.setattr(scipy.fft, name, counted)

    def classify(decomposition: Decomposition) -> Any:
        seen.append(torch.get_num_threads())
        seen.extend(library["num_threads"] for library in threadpool_info())
        return np.ones(len(decomposition.singular_values))

    image = np.random.default_rng(0).normal(9, 1, (120, 120))
    params = DenoiseParams(method=method, engine=engine, threads=threads)
    denoise(image, params, classify=classify)
    assert max(seen) == threads


def test_without_a_number_the_libraries_keep_their_own() -> None:
    before = [library["num_threads"] for library in threadpool_info()]
    seen = []

    def classify(decomposition: Decomposition) -> Any:
        seen.extend(library["num_threads"] for library in threadpool_info())
        return np.ones(len(decomposition.singular_values))

    denoise(np.ones((32, 32)), DenoiseParams(patch_size=5), classify=classify)
    assert seen == before
