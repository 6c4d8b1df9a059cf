"""What has to be decided before the first patch is cut: engine, patch size, stacks, components."""

from dataclasses import dataclass, replace
from typing import Literal

from reucid_core import psf
from reucid_core.eigenpatches import Classify, FloatArray
from reucid_core.memory import available_memory
from reucid_core.params import MIN_PATCH_SIZE, ChosenMethod, DenoiseParams
from reucid_core.workload import Workload, check_stacks

StacksOrigin = Literal["given", "memory", "engine"]
ChosenEngine = Literal["exact", "stacked"]


@dataclass(frozen=True)
class Plan:
    """The decisions, and where each came from."""

    patch_size: psf.PatchSize
    stacks: int  # d
    stacks_origin: StacksOrigin
    components: int  # eigenpatches offered to the classifier

    @property
    def p(self) -> int:
        return self.patch_size.size


@dataclass(frozen=True)
class Way:
    """How a result is made, and why so."""

    method: ChosenMethod
    method_reason: str
    engine: ChosenEngine
    engine_reason: str


def choose_way(params: DenoiseParams, classify: Classify) -> Way:
    """Method and engine: two scales unless what is stated belongs to the paper's method.

    Parameters
    ----------
    params : DenoiseParams
    classify : callable
        One with an attribute `method` judges decompositions of that method alone.
    """
    method, reason = _choose_method(params, classify)
    return Way(method, reason, *_choose_engine(params, method))


def thriftier(way: Way, params: DenoiseParams, why: str) -> Way | None:
    """A way that takes less memory, if what is stated leaves one."""
    if way.method == "two-scale" and params.method == "auto":
        return Way("paper", why, *_choose_engine(params, "paper"))
    if (way.method, way.engine, params.engine) == ("paper", "exact", "auto"):
        return replace(way, engine="stacked", engine_reason=why)
    return None


def _choose_method(params: DenoiseParams, classify: Classify) -> tuple[ChosenMethod, str]:
    if params.method != "auto":
        return params.method, "stated"
    if params.reason_for_paper is not None:
        return "paper", params.reason_for_paper
    if getattr(classify, "method", None) == "paper":
        return "paper", "the classifier that was chosen is for decompositions of the paper's method"
    return "two-scale", "nothing was stated that only the paper's method has"


def _choose_engine(params: DenoiseParams, method: ChosenMethod) -> tuple[ChosenEngine, str]:
    """The exact one unless stacks are wanted."""
    if params.engine != "auto":
        return params.engine, "stated"
    if method == "two-scale":
        return "exact", "two scales have one stack each"
    if params.stacks is not None:
        return "stacked", "a number of stacks was stated"
    if params.deadline is not None:
        return "stacked", "a deadline was set"
    return "exact", "the result of one stack, without its patch matrix"


def lags_needed(shape: tuple[int, ...], params: DenoiseParams) -> int:
    """Longest lag in px of the autocorrelation that the exact engine needs."""
    if params.patch_size is None:
        return max(psf.longest_lag(shape), MIN_PATCH_SIZE - 1)
    return psf.check_patch_size(params.patch_size, shape).size - 1


def plan_exact(correlation: FloatArray, shape: tuple[int, ...], params: DenoiseParams) -> Plan:
    """PSF -> patch size; all patches are one stack.

    Parameters
    ----------
    correlation : ndarray, shape (lags + 1, at least 2 lags + 1)
        The image's circular autocorrelation at the needed lags, negative ones along the columns at
        the end; not normalised.
    shape : (int, int)
        Of the image, (m, n).
    params : DenoiseParams

    Raises
    ------
    ParameterError
        When a stated value does not fit the image.
    """
    if params.patch_size is not None:
        patch_size = psf.check_patch_size(params.patch_size, shape)
    else:
        patch_size = psf.patch_size_of(correlation / (correlation[0, 0] or 1.0), shape)
    return Plan(patch_size, 1, "engine", _components(patch_size.size, params))


def plan_stacked(noisy: FloatArray, params: DenoiseParams) -> Plan:
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
    components = _components(patch_size.size, params)
    workload = Workload(noisy.shape, patch_size.size, noisy.itemsize, components)
    origin: StacksOrigin = "memory" if params.stacks is None else "given"
    return Plan(patch_size, _stacks(workload, params), origin, components)


def _components(p: int, params: DenoiseParams) -> int:
    return min(p * p, params.components or max(64, 4 * p))


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
        autocorrelation, is checked when it is planned.
    """
    if params.patch_size is not None:
        psf.check_patch_size(params.patch_size, shape)
    if params.stacks is not None:
        check_stacks(params.stacks, shape, params.patch_size or MIN_PATCH_SIZE)
