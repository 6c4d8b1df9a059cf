"""Which signal and frames of a file a job is about."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reucid_core.errors import ImageError, ParameterError
from reucid_core.frames import check_joint
from reucid_core.params import DenoiseParams
from reucid_core.plan import check_fits
from worker.contract import FileInfo, ImageInfo
from worker.decoding.inspection import decode_file
from worker.settings import Settings
from worker.store import pixels_name

Frames = Literal["each", "joint"]


@dataclass(frozen=True)
class Chosen:
    """A signal of a file, or one frame of it."""

    index: int
    origin: str  # "stated", "only", or "default": by `worker.formats.reading.default_signal`
    frame: int | None
    info: ImageInfo  # of the signal; of the frame, where one was chosen

    def pixels_of(self, signal: NDArray[Any]) -> NDArray[Any]:
        """What to denoise, of a decoded signal: shape (m, n) or (frames, m, n)."""
        return signal if self.frame is None or signal.ndim == 2 else signal[self.frame]

    def to_dict(self) -> dict[str, Any]:
        """For the report."""
        return {
            "signal": self.index,
            "signal_origin": self.origin,
            "title": self.info.title,
            "frame": self.frame,
        } | ({"notes": list(self.info.notes)} if self.info.notes else {})


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a job takes of its input; sent among its parameters.

    Parameters
    ----------
    signal : int or str, optional
        Position among the file's image signals, from 0, or title. By default the only one, else
        the one that the file's listing calls its default.
    frame : int, optional
        One frame of a stack, from 0. By default all of them.
    frames : {"each", "joint"}
        Whether each frame of a stack has its own eigenpatches, or all share one decomposition.
    """

    signal: int | str | None = None
    frame: int | None = None
    frames: Frames = "each"

    def of(self, contents: FileInfo) -> Chosen:
        """The signal this is about.

        Raises
        ------
        ParameterError
            When the file has no such signal or frame.
        """
        index, origin = self._signal(contents)
        info = contents.signals[index]
        if self.frame is None:
            return Chosen(index, origin, None, info)
        if not 0 <= self.frame < info.frames:
            raise ParameterError(
                "frame", f"got {self.frame}, expected 0 to {info.frames - 1} of {info.title!r}"
            )
        alone = replace(
            info, shape=info.frame_shape, frame_step=None, frame_unit=None, frame_origin=None
        )
        return Chosen(index, origin, self.frame, alone)

    def check(self, contents: FileInfo, params: DenoiseParams) -> None:
        """Refuse what cannot be done with this file, before it is worked on.

        Raises
        ------
        ParameterError
        """
        chosen = self.of(contents)
        check_fits(params, chosen.info.frame_shape)
        if self.frames == "joint" and len(chosen.info.shape) == 3:
            check_joint(params)

    def _signal(self, contents: FileInfo) -> tuple[int, str]:
        titles = [signal.title for signal in contents.signals]
        if self.signal is None and contents.default is not None:
            return contents.default, "only" if len(titles) == 1 else "default"
        if isinstance(self.signal, int) and 0 <= self.signal < len(titles):
            return self.signal, "stated"
        if self.signal in titles:
            return titles.index(str(self.signal)), "stated"
        listed = ", ".join(f"{n} {title!r}" for n, title in enumerate(titles))
        got = "no signal" if self.signal is None else repr(self.signal)
        raise ParameterError("signal", f"got {got}, expected one of {listed}")


def as_stack(pixels: NDArray[Any]) -> NDArray[Any]:
    """An image or a stack, as a stack: shape (frames, m, n)."""
    return pixels if pixels.ndim == 3 else pixels[np.newaxis]


def read_signal(path: Path, selection: Selection) -> tuple[NDArray[Any], Chosen]:
    """The pixels of a file's signal, shape (m, n) or (frames, m, n).

    Raises
    ------
    FormatError
    ParameterError
    """
    with TemporaryDirectory(prefix="reucid-") as folder:
        contents = decode_file(path, Path(folder), Settings())
        chosen = selection.of(contents)
        pixels = chosen.pixels_of(np.load(Path(folder) / pixels_name(chosen.index)))
    return pixels, chosen


def read_image(path: Path, selection: Selection) -> tuple[NDArray[Any], Chosen]:
    """The pixels of one image of a file, shape (m, n).

    Raises
    ------
    ImageError
        When a stack was chosen as a whole.
    """
    pixels, chosen = read_signal(path, selection)
    if pixels.ndim == 3:
        raise ImageError(
            f"{path.name}: got a stack of {len(pixels)} frames, expected one image: choose a frame"
        )
    return pixels, chosen
