"""Peaks of a profile that stand out."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def peaks(profile: NDArray[np.floating[Any]], prominence: NDArray[np.float64]) -> Iterator[int]:
    """Local maxima that are prominent enough, from the first on.

    They are those of `scipy.signal.find_peaks`, one at a time: that module takes half a second to
    import, ten times what an image of 512 x 512 px takes.

    Parameters
    ----------
    profile : ndarray, shape (r,)
    prominence : ndarray, shape (r,)
        The least that is enough at each place: a peak's height above the higher of the two lowest
        points between it and whatever is higher on either side, or the profile's end.

    Yields
    ------
    int
        Index of a maximum; of one that is flat, its middle, rounded down.
    """
    rises = profile[1:-1] > profile[:-2]
    for first in np.flatnonzero(rises & (profile[1:-1] >= profile[2:])) + 1:
        unlike = np.flatnonzero(profile[first:] != profile[first])
        if not unlike.size or profile[first + unlike[0]] > profile[first]:  # it rises on, or ends
            continue
        peak = int(first + (unlike[0] - 1) // 2)
        if prominence_of(peak, profile) >= prominence[peak]:
            yield peak


def prominence_of(peak: int, profile: NDArray[np.floating[Any]]) -> float:
    """How far a peak stands out of the profile, as above."""
    higher = np.flatnonzero(profile > profile[peak])
    at = int(np.searchsorted(higher, peak))
    start = higher[at - 1] + 1 if at else 0
    stop = higher[at] if at < len(higher) else len(profile)
    lowest = max(profile[start : peak + 1].min(), profile[peak:stop].min())
    return float(profile[peak] - lowest)
