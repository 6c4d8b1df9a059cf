"""Memory and number of stacks (paper, "RAM estimation")."""

import bisect
import math
from dataclasses import dataclass

from reucid_core.decompose import through_gram_matrix
from reucid_core.errors import MemoryBudgetError, ParameterError
from reucid_core.patches import BLOCK_NUMBERS, origin_grid

MIN_STACK = 64  # patches; chance leaves no stack of this mean size empty
MIB = 2**20

# Bytes, measured for p = 5 to 63 in both precisions.
FIXED = 24 * MIB  # products of a block, the libraries' own buffers, the classifier's batch
SKETCHES = 32  # per number of the sketch: the sketch, its basis and their copies
TERRAIN = 17  # per pixel: terrain and origins in the making, and the image they are for
REPORT = 160  # per eigenpatch
GRAM = 24  # per entry of a Gram matrix: itself, its products or recurrence, and LAPACK's
EXACT_PIXEL = 40  # per pixel transformed at a time: spectra, correlation, filter
LEAST_ROWS = 64  # in a band


@dataclass(frozen=True)
class Workload:
    """What decides how much memory a denoising takes.

    Parameters
    ----------
    shape : (int, int)
        Of the image, in px.
    p : int
        Patch size in px.
    itemsize : int
        Bytes of one number.
    components : int
        Eigenpatches per stack, all of which are kept for the result.
    """

    shape: tuple[int, int]
    p: int
    itemsize: int
    components: int

    def memory(self, stacks: int) -> int:
        """Bytes taken at the peak, beside the input, with this number of stacks."""
        pixels = math.prod(self.shape)
        patch_pixels = self.p**2
        n_patches = math.prod(origin_grid(self.shape, self.p)) / stacks
        n_patches += 4 * math.sqrt(n_patches)  # a stack's size is random

        image_sized = pixels * (2 * self.itemsize + 4)  # working copy, canvas, assignment
        stack = n_patches * (patch_pixels * self.itemsize + 8)  # patches, origins
        decomposing = (
            GRAM * patch_pixels**2
            if through_gram_matrix(patch_pixels, self.components)
            else SKETCHES * patch_pixels * (self.components + 10)
        )
        blocks = BLOCK_NUMBERS * self.itemsize + decomposing
        terrain = TERRAIN * pixels  # made while no stack is held
        results = stacks * self.components * (patch_pixels * self.itemsize + REPORT)
        return FIXED + math.ceil(image_sized + max(stack + blocks, terrain) + results)

    def check_memory(self, stacks: int, budget: int) -> None:
        """Refuse a number of stacks that takes more than `budget` bytes.

        Raises
        ------
        MemoryBudgetError
        """
        need = self.memory(stacks)
        if need > budget:
            raise MemoryBudgetError(
                f"an image of {self.shape[0]} x {self.shape[1]} px with patches of {self.p} px "
                f"needs {math.ceil(need / MIB)} MiB of working memory in {stacks} stacks, "
                f"{budget // MIB} MiB may be used: raise the memory budget or crop the image"
            )

    def fewest_stacks(self, budget: int) -> int:
        """Smallest number of stacks d >= 1 that takes at most `budget` bytes.

        Raises
        ------
        MemoryBudgetError
            When no number of stacks is enough.
        """
        # With still more stacks, the eigenpatches kept outweigh the patches saved.
        thriftiest = math.isqrt(math.prod(origin_grid(self.shape, self.p)) // self.components)
        most = min(max_stacks(self.shape, self.p), max(1, thriftiest))
        self.check_memory(most, budget)
        numbers = range(1, most)
        return 1 + bisect.bisect_left(numbers, -budget, key=lambda stacks: -self.memory(stacks))


def paper_formula(shape: tuple[int, ...], p: int, itemsize: int) -> int:
    """Bytes of the matrix of all patches by the paper's formula, m n p^2 numbers.

    It counts an origin at every pixel and nothing beside the matrix; `Workload.memory` counts
    those that there are, and all that is held with them.
    """
    return math.prod(shape) * p**2 * itemsize


def band_height(shape: tuple[int, ...], p: int, margin: int, budget: int) -> int:
    """Rows of an image that the exact engine transforms at a time: all of them, if they fit.

    Parameters
    ----------
    shape : (int, int)
        Of the image, in px.
    p : int
        Patch size in px, as far as it is known.
    margin : int
        Rows that a band needs beside its own.
    budget : int
        Bytes that may be used beside the image and the result.

    Raises
    ------
    MemoryBudgetError
        When not even a band of `LEAST_ROWS` fits beside the Gram matrix. An image narrower than
        four patches is filtered as a whole.
    """
    m, n = shape
    if FIXED + EXACT_PIXEL * m * n + GRAM * p**4 <= budget:
        return m
    held = FIXED + GRAM * p**4 + 16 * p * (m + n)  # with the lines along the edges
    rows = (budget - held) // (EXACT_PIXEL * n) - margin
    least = m if min(m, n) < 4 * (p - 1) else min(m, LEAST_ROWS)
    if rows < least:
        need = held + EXACT_PIXEL * n * (least + margin)
        raise MemoryBudgetError(
            f"the exact engine needs {math.ceil(need / MIB)} MiB for {m} x {n} px and patches of "
            f"{p} px, {budget // MIB} MiB may be used"
        )
    return min(m, rows)


def max_stacks(shape: tuple[int, int], p: int) -> int:
    """Most stacks that still hold about as many patches as a patch has pixels."""
    return max(1, math.prod(origin_grid(shape, p)) // max(p * p, MIN_STACK))


def check_stacks(stacks: int, shape: tuple[int, int], p: int) -> None:
    """Refuse a stated number of stacks that are too small to be decomposed.

    Raises
    ------
    ParameterError
    """
    most = max_stacks(shape, p)
    if stacks > most:
        raise ParameterError(
            "stacks",
            f"got {stacks}, expected at most {most} for {shape[0]} x {shape[1]} px and patches of "
            f"{p} px: a stack needs about {max(p * p, MIN_STACK)} patches",
        )
