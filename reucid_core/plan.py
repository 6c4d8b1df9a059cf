"""What has to be decided before the first patch is cut: patch size, stacks, components."""

from dataclasses import dataclass
from typing import Literal

from reucid_core import psf
from reucid_core.eigenpatches import FloatArray
from reucid_core.memory import available_memory
from reucid_core.params import DenoiseParams
from reucid_core.workload import Workload, check_stacks

StacksOrigin = Literal["given", "memory"]


@dataclass(frozen=True)
class Plan:
    """The decisions, and where each came from."""

    patch_size: psf.PatchSize
    stacks: int  # d
    stacks_origin: StacksOrigin
    components: int  # eigenpatches offered to the classifier
    engine_reason: str

    @property
    def p(self) -> int:
        return self.patch_size.size


def make_plan(noisy: FloatArray, params: DenoiseParams) -> Plan:
    """PSF -> patch size, RAM -> number of stacks (paper, "PSF estimation", "RAM estimation").

    Parameters
    ----------
    noisy : ndarray, shape (m, n), float32 or float64
    params : DenoiseParams

    Raises
    ------
    ParameterError
        When a stated value does not fit the image.
    MemoryBudgetError
        When no number of stacks, or not the stated one, fits into the memory.
    """
    patch_size = (
        psf.find_patch_size(noisy, threads=params.threads)
        if params.patch_size is None
        else psf.check_patch_size(params.patch_size, noisy.shape)
    )
    p = patch_size.size
    components = min(p * p, params.components or max(64, 4 * p))
    return Plan(
        patch_size=patch_size,
        stacks=_stacks(Workload(noisy.shape, p, noisy.itemsize, components), params),
        stacks_origin="memory" if params.stacks is None else "given",
        components=components,
        engine_reason="stated" if params.engine == "stacked" else "the only engine",
    )


def _stacks(workload: Workload, params: DenoiseParams) -> int:
    budget = params.memory_budget or available_memory()
    if params.stacks is None:
        return workload.fewest_stacks(budget)
    check_stacks(params.stacks, workload.shape, workload.p)
    workload.check_memory(params.stacks, budget)
    return params.stacks


def check_fits(params: DenoiseParams, shape: tuple[int, int]) -> None:
    """Refuse stated values that cannot fit an image of this shape, before it is worked on.

    Raises
    ------
    ParameterError
        What only the image's content can tell, such as the patch size that follows from its
        autocorrelation, is checked by `make_plan`.
    """
    if params.patch_size is not None:
        psf.check_patch_size(params.patch_size, shape)
        if params.stacks is not None:
            check_stacks(params.stacks, shape, params.patch_size)
