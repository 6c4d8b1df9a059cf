"""The rivals of the evaluation, as calls to be timed."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from reucid_core.training.judging.rivals import Noise, available

Method = Callable[[], object]
KINDS = ("fast", "peer", "slow")  # below a second, seconds, and up to a minute at 1024^2


def peers(image: NDArray[np.float64], p: int) -> dict[str, tuple[str, Method]]:
    """Kind and call of each method, for counts with read noise of one count, shape (m, n)."""
    installed, missing = available()
    for name, module in missing.items():
        print(f"left out, {name}: {module} is not installed")
    noise = Noise(gain=1.0, read=1.0)
    return {rival.name: (rival.kind, partial(rival, image, noise, p)) for rival in installed}
