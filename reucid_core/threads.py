"""One number of threads for all libraries that have their own."""

import sys
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

from threadpoolctl import ThreadpoolController


def limited(threads: int | None) -> AbstractContextManager[object]:
    """A context in which linear algebra and the network use at most so many threads.

    SciPy's FFT takes the number as an argument of each call instead.

    Parameters
    ----------
    threads : int or None
        None leaves each library its own choice.
    """
    if threads is None:
        return nullcontext()
    limit: AbstractContextManager[object] = _libraries("torch" in sys.modules).limit(limits=threads)
    return limit


def find_libraries() -> None:
    """Look for the libraries now: a child that has entered a sandbox cannot."""
    _libraries("torch" in sys.modules)


@lru_cache(maxsize=1)
def _libraries(_with_torch: bool) -> ThreadpoolController:
    """The libraries with threads of their own, looked for again once torch is there, too.

    Looking takes 2 to 9 ms, a good part of a denoising. NumPy's and SciPy's are there already.
    """
    return ThreadpoolController()
