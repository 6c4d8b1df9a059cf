"""HyperSpy: a signal in, a signal out, with its axes, units, offsets and metadata.

>>> denoised = denoise(signal, Client("http://server:8000"))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reucid_client.synchronous import Client


def denoise(signal: Any, client: Client, *, residual: bool = False, **options: Any) -> Any:
    """Denoise an image, or every image of a stack.

    Parameters
    ----------
    signal : hyperspy.signals.Signal2D
        With at most one navigation axis; of a lazy one, all pixels are read into memory.
    client : Client
    residual : bool
        Return also what was taken away.
    **options
        As of `Client.denoise`.

    Returns
    -------
    Signal2D, or a pair of them
        Of the class of `signal`, float32, with its axes and metadata; the job's id and the
        verdict are in `metadata.REUCID`.

    Raises
    ------
    ValueError
        When the signal is no image and no stack of images.
    """
    axes = signal.axes_manager
    if axes.signal_dimension != 2 or axes.navigation_dimension > 1:
        raise ValueError(
            f"got a signal of {axes.navigation_dimension} navigation and {axes.signal_dimension} "
            "signal axes, expected images: 0 or 1, and 2"
        )
    name = f"{signal.metadata.get_item('General.title') or 'signal'}.npy"
    result = client.denoise(np.asarray(signal.data), name=name.replace("/", "-"), **options)
    made = _like(signal, result.image, result.job.id, result.verdict)
    if not residual:
        return made
    return made, _like(signal, result.residual, result.job.id, result.verdict)


def _like(signal: Any, pixels: Any, job_id: str, verdict: Any) -> Any:
    made = signal._deepcopy_with_new_data(pixels)
    made.metadata.set_item("REUCID.job", job_id)
    made.metadata.set_item("REUCID.verdict", list(verdict))
    return made
