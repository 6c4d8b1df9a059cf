"""The parameters of a denoising, validated once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from numpy.typing import NDArray

from reucid_core.errors import ParameterError

ChosenMethod = Literal["two-scale", "paper"]
Method = Literal["auto", "two-scale", "paper"]
Engine = Literal["auto", "exact", "stacked"]
Precision = Literal["auto", "float32", "float64"]
ScanNoise = Literal["keep", "remove"]  # are row offsets and row jitter data, or artefact?
ScanNoiseChoice = Literal["auto", "keep", "remove"]
ScanAxis = Literal["auto", "x", "y"]
PatchSizeRule = Callable[[NDArray[Any]], int]  # of an image, shape (m, n): side in px, odd
Select = Literal["any", "leading"]  # of the eigenpatches: which ones are kept
Outliers = Literal["keep", "repair"]  # what hot pixels hold in the result

MIN_PATCH_SIZE = 3  # px; below it a patch has no neighbourhood to speak of
MAX_SEED = 2**63 - 1
MAX_DEADLINE = 1e9  # s


@dataclass(frozen=True, kw_only=True)
class DenoiseParams:
    """Parameters of `reucid_core.denoise`.

    Parameters
    ----------
    method : {"auto", "two-scale", "paper"}
        `two-scale`: the noise is measured and whitened, the lattice is found in large patches, and
        what departs from it in small ones. `paper`: the published method, which takes the noise for
        white and has one patch size. `auto` is `two-scale` unless something is stated that only
        `paper` has: engine `stacked`, a number of stacks or of components, or a classifier for it;
        or the memory does not suffice. The report says which, and why.
    engine : {"auto", "exact", "stacked"}
        How the result is computed. `stacked` is Algorithm 1 of the paper, `exact` its result with
        one stack at a fraction of the cost; `auto` is exact unless, with method `paper`, a number
        of stacks or a deadline is stated, or the memory does not suffice.
    patch_size : int or callable, optional
        Side of a patch in px, odd; or a function that gets the image, float32 or float64 and not to
        be written to, and returns one. By default, with method `paper`, the diameter of the
        point-spread function, found in the image's autocorrelation; with `two-scale` the one whose
        result has the least error by Stein's estimate.
    patch_size_from : str, optional
        Name of a rule that gives the patch size: `autocorrelation`, `information-limit`, or one
        that an installed package offers (`reucid_core.patch_size_rules`). Of joint frames it is
        asked for the first. The report's `patch_size_origin` names it.
    stacks : int, optional
        Number of patch stacks d. By default as few as the memory allows.
    components : int, optional
        Eigenpatches per stack offered to the classifier, for method `paper`. By default
        ``min(p**2, max(64, 4 * p))``.
    threshold : float, optional
        Utility in [0, 1] from which an eigenpatch is kept. By default the one stored with the
        classifier.
    select : {"any", "leading"}
        Which eigenpatches are kept: `any` whose utility reaches the threshold, or as many from the
        first on, without gaps. The paper's patches are "truncated in accordance with the results
        of the CNN", which may mean either.
    scan_axis : {"auto", "x", "y"}
        Along which the fast scan runs: x along the rows. For method `two-scale`.
    scan_noise : {"auto", "remove", "keep"}
        Whether row offsets are noise or signal. `auto` is `remove` with method `two-scale` and
        `keep` with `paper`, where it is for whoever chooses the classifier to see to it.
    outliers : {"keep", "repair"}
        What hot pixels and spikes, bars and text drawn over the image, and rows that were lost, all
        left out of the decomposition, hold in the result: their raw values, or what is made of
        their neighbours. For method `two-scale`.
    bias : bool
        Whether it is measured how much of small changes in single columns is kept, by denoising the
        result once more with noise and such changes: twice the time.
    seed : int
        Seed of the random assignment of patches to stacks and of the randomised SVD.
    precision : {"auto", "float32", "float64"}
        Floating-point type of the computation and of the result. `auto` is float32 for images of
        16 or fewer bits per pixel and float32 ones, float64 for all others.
    deadline : float, optional
        Seconds after which no further stack is begun; the first is always finished. With two
        scales, after which what departs from the lattice is not looked for any more.
    memory_budget : int, optional
        Bytes this computation may use beside its input. By default what the machine, the control
        group and the process leave free.
    threads : int, optional
        Threads for linear algebra and FFT. By default the libraries' own choice.

    Raises
    ------
    ParameterError
        When a value is out of its range; the error names the field.
    """

    method: Method = "auto"
    engine: Engine = "auto"
    patch_size: int | PatchSizeRule | None = None
    patch_size_from: str | None = None
    stacks: int | None = None
    components: int | None = None
    threshold: float | None = None
    select: Select = "any"
    scan_axis: ScanAxis = "auto"
    scan_noise: ScanNoiseChoice = "auto"
    outliers: Outliers = "keep"
    bias: bool = False
    seed: int = 0
    precision: Precision = "auto"
    deadline: float | None = None
    memory_budget: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        _check_choice("method", self.method, get_args(Method))
        _check_choice("scan_axis", self.scan_axis, get_args(ScanAxis))
        _check_choice("scan_noise", self.scan_noise, get_args(ScanNoiseChoice))
        _check_choice("outliers", self.outliers, get_args(Outliers))
        _check_choice("engine", self.engine, get_args(Engine))
        _check_choice("select", self.select, get_args(Select))
        _check_choice("precision", self.precision, get_args(Precision))
        if not isinstance(self.bias, bool):
            raise ParameterError("bias", f"got {self.bias!r}, expected True or False")
        if not callable(self.patch_size):
            _check_integer("patch_size", self.patch_size, MIN_PATCH_SIZE)
        _check_integer("stacks", self.stacks, 1)
        _check_integer("components", self.components, 1)
        _check_integer("memory_budget", self.memory_budget, 1)
        _check_integer("threads", self.threads, 1)
        _check_integer("seed", self.seed, 0, MAX_SEED, optional=False)
        _check_number("threshold", self.threshold, 0.0, 1.0)
        _check_number("deadline", self.deadline, 0.0, MAX_DEADLINE)
        if self.method == "two-scale" and (reason := self.reason_for_paper) is not None:
            raise ParameterError("method", f"got two-scale, expected paper or auto: {reason}")
        if self.engine == "exact" and self.stacks not in (None, 1):
            raise ParameterError("stacks", f"got {self.stacks}, expected 1 with engine exact")
        if self.method == "paper" and self.engine == "exact" and self.deadline is not None:
            raise ParameterError(
                "deadline",
                f"got {self.deadline}, expected none with method paper and engine exact: it has "
                "one stack",
            )
        size = self.stated_patch_size
        if size is not None and size % 2 == 0:
            raise ParameterError(
                "patch_size",
                f"got {size}, which is even; a patch needs a centre: use {size - 1} or {size + 1}",
            )
        if self.patch_size_from is None:
            return
        if not isinstance(self.patch_size_from, str):
            message = f"got {self.patch_size_from!r}, expected the name of a rule"
            raise ParameterError("patch_size_from", message)
        if self.patch_size is not None:
            message = f"got {self.patch_size_from!r} beside a patch size, expected one of both"
            raise ParameterError("patch_size_from", message)

    @property
    def stated_patch_size(self) -> int | None:
        """The patch size, where it is a number."""
        return self.patch_size if isinstance(self.patch_size, int) else None

    @property
    def patch_size_rule(self) -> str | None:
        """The name of what gives the patch size, where it is neither a number nor the default."""
        if not callable(self.patch_size):
            return self.patch_size_from
        named = getattr(self.patch_size, "__qualname__", type(self.patch_size).__qualname__)
        return f"{self.patch_size.__module__}.{named}"

    @property
    def reason_for_paper(self) -> str | None:
        """What is stated that only method `paper` has, in words; None if nothing is."""
        if self.engine == "stacked":
            return "engine stacked was stated, which is the paper's algorithm"
        if self.stacks is not None:
            return "a number of stacks was stated, which only the paper's algorithm has"
        if self.components is not None:
            return "a number of components was stated, which only the paper's algorithm has"
        return None

    @property
    def scan_noise_decision(self) -> ScanNoise:
        """What is stated, else what goes with the method, which has been chosen."""
        if self.scan_noise == "auto":
            return "keep" if self.method == "paper" else "remove"
        return self.scan_noise


def _check_choice(field: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ParameterError(field, f"got {value!r}, expected one of {', '.join(choices)}")


def _check_integer(
    field: str, value: object, low: int, high: int | None = None, *, optional: bool = True
) -> None:
    if value is None and optional:
        return
    limits = f"at least {low}" if high is None else f"between {low} and {high}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise ParameterError(field, f"got {value!r}, expected an integer, {limits}")
    if value < low or (high is not None and value > high):
        raise ParameterError(field, f"got {value}, expected {limits}")


def _check_number(field: str, value: object, low: float, high: float) -> None:
    if value is None:
        return
    limits = f"a number between {low:g} and {high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParameterError(field, f"got {value!r}, expected {limits}")
    if not low <= value <= high:  # also refuses NaN
        raise ParameterError(field, f"got {value}, expected {limits}")
