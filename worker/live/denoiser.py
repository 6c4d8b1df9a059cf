"""The core's denoiser of a session."""

from reucid_core import ParameterError
from reucid_core.live import LiveDenoiser
from worker.contract import SessionRequest
from worker.denoising.params import JobParams

OF_FILES = ("signal", "frame")


def denoiser_of(request: SessionRequest, threads: int | None = None) -> LiveDenoiser:
    """A denoiser that has seen nothing yet.

    Raises
    ------
    ParameterError
        When the session's parameters are not those of live frames.
    MemoryBudgetError
        When a frame does not fit into the memory.
    """
    params = JobParams.from_json(request.params)
    for name in OF_FILES:
        if getattr(params.selection, name) is not None:
            raise ParameterError(name, "got a value, expected none: a live frame is no file")
    if params.choice.model is not None:
        raise ParameterError(
            "model", "got a value, expected none: live frames are judged by the noise floor's rule"
        )
    asked = params.within(memory_budget=None, threads=threads)
    return LiveDenoiser(request.shape, asked.denoising, request.memory_frames)
