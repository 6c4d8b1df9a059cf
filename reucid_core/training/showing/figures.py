"""What all pictures and charts share: size, type, colours, and that matplotlib comes late."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 12.0  # inches: 1200 px at 100 dpi, for which the type is sized
DPI = 160

# Okabe and Ito's colours, which the colour-blind tell apart.
BLACK, GREY, BLUE, ORANGE, GREEN, RED = (
    "#000000", "#9a9a9a", "#0072b2", "#e69f00", "#009e73", "#d55e00"
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, RED, "#cc79a7", "#56b4e9")

STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


@contextmanager
def figure(path: Path, height: float, *, width: float = WIDTH) -> "Iterator[Figure]":
    """An empty figure, in inches, that is written to a PNG file at the end.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        message = "matplotlib is not installed, which draws figures: install the extra `plots`"
        raise ImportError(message) from error
    with rc_context(STYLE):
        drawn = Figure(figsize=(width, height))
        yield drawn
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, dpi=DPI, format="png")
