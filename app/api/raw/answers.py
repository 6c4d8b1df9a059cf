"""A part of a view as an answer: bytes, what they are, and a tag to keep them by."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from fastapi import Request
from starlette.responses import Response

from app.api.cache import cached, discard
from app.api.deps import Services
from app.api.quotas import check_space
from app.api.wishes import Cut
from app.http.conditional import not_modified, tagged
from app.http.files import send_bytes
from app.http.problems import FieldError, Limit, Problem, Responses, invalid
from worker.pyramid.layout import Combine, DamagedTileError, Float32, Layout, Region
from worker.pyramid.reading import Find, Origin, Pyramid
from worker.store import DamagedError

log = structlog.get_logger()

MEDIA_TYPE = "application/octet-stream"
MOST_PIXELS = 2**22  # of one answer
VERSION = 1  # of how the numbers are made: it is in the entity tags
HEADERS = {
    "Reucid-Shape": "Rows and columns of the answer: `h,w`.",
    "Reucid-Full-Shape": "Rows and columns of the whole image: `H,W`.",
    "Reucid-Dtype": "`<f4`.",
    "Reucid-Frame": "Frame of a stack, from 0.",
    "Reucid-Region": "`y0,x0,y1,x1` in px of the whole image: what was asked for, widened to "
    "blocks.",
    "Reucid-Reduce": "Side of the blocks in px.",
}
ALSO: Responses = {
    200: {
        "headers": {
            name: {"description": f"Of `raw`. {said}", "schema": {"type": "string"}}
            for name, said in HEADERS.items()
        }
    }
}


@dataclass(frozen=True)
class Kept:
    """Levels that were written where the array was made, and the digest of their table."""

    levels: Find
    tiles: Find
    sha256: str


@dataclass(frozen=True)
class View:
    """A frame that is looked at, and where its pyramid is.

    Parameters
    ----------
    layout : Layout
    origins : tuple of Origin
    combine : callable
        Of the origins, what is looked at.
    made_of : tuple of str
        Digests of the origins.
    kept : Kept or None
        None where nobody wrote levels: then they are drawn.
    path : Path
        Where what is drawn is kept.
    draw : callable
        Draws a pyramid into a file.
    frame : int
    owner : str
    of : str
        Id of the job or image.
    """

    layout: Layout
    origins: tuple[Origin, ...]
    combine: Combine
    made_of: tuple[str, ...]
    kept: Kept | None
    path: Path
    draw: Callable[[Path], None]
    frame: int
    owner: str
    of: str

    @property
    def shape(self) -> tuple[int, int]:
        return self.layout.shape[1:]

    def read(self, levels: Find, table: Find, region: Region, sha256: str | None) -> Float32:
        """A region, by levels that are somewhere."""
        shape = self.layout.shape
        pyramid = Pyramid(levels, table, shape, self.origins, self.combine, sha256)
        return pyramid.read(self.frame, region)


def send(request: Request, services: Services, view: View, cut: Cut) -> Response:
    region = region_of(view.shape, cut)
    bounds = _bounds(view.shape, region)
    identity = repr((VERSION, view.made_of, view.frame, bounds, region.reduce))
    etag = f'"{hashlib.sha256(identity.encode()).hexdigest()}"'
    headers = tagged(etag, vary="Accept") | told_of(view.shape, view.frame, region)
    known = not_modified(request, headers)
    if known is not None:
        return known
    content = _read(services, view, region)
    return send_bytes(request, content, headers, media_type=MEDIA_TYPE)


def told_of(shape: tuple[int, int], frame: int, region: Region) -> dict[str, str]:
    """Headers that say what the numbers are."""
    return {
        "Reucid-Shape": listed(*region.shape),
        "Reucid-Full-Shape": listed(*shape),
        "Reucid-Dtype": "<f4",
        "Reucid-Frame": str(frame),
        "Reucid-Region": listed(*_bounds(shape, region)),
        "Reucid-Reduce": str(region.reduce),
    }


def _read(services: Services, view: View, region: Region) -> bytes:
    """The numbers of a region; what is found damaged is made once more of what is not."""
    kept = view.kept
    if kept is not None:
        try:
            return view.read(kept.levels, kept.tiles, region, kept.sha256).tobytes()
        except DamagedTileError:
            log.warning("levels_damaged", of=view.of)
    for _ in range(2):
        _keep(services, view)
        try:
            return view.read(lambda: view.path, lambda: view.path, region, None).tobytes()
        except DamagedTileError:
            discard(view.path)
    raise DamagedError


def _keep(services: Services, view: View) -> None:
    """Have the pyramid, made if it was not yet."""
    layout = view.layout

    def draw(target: Path) -> None:
        check_space(services, view.owner, layout.levels_size + layout.table_size)
        view.draw(target)

    cached(view.path, MEDIA_TYPE, draw, view.of, layout.table_digest)


def region_of(shape: tuple[int, int], cut: Cut) -> Region:
    """Where a part of an image lies in the level of its scale: every block that it touches.

    Raises
    ------
    Problem
        When the image has no such part, or it is too large for one answer.
    """
    m, n = shape
    y0, x0, y1, x1 = cut.region or (0, 0, m, n)
    if not (0 <= y0 < y1 <= m and 0 <= x0 < x1 <= n):
        message = (
            f"got {y0},{x0},{y1},{x1}, expected y0,x0,y1,x1 with 0 <= y0 < y1 <= {m} and "
            f"0 <= x0 < x1 <= {n}: the image has {m} x {n} px"
        )
        raise invalid([FieldError(field="query.region", message=message)])
    k = cut.reduce
    region = Region(k, slice(y0 // k, -(-y1 // k)), slice(x0 // k, -(-x1 // k)))
    got = math.prod(region.shape)
    if got > MOST_PIXELS:
        raise Problem(
            422,
            "region_too_large",
            f"got a region of {region.shape[0]} x {region.shape[1]} px at reduce={k}, at most "
            f"{MOST_PIXELS} px are sent at once (max_raw_pixels): ask for a smaller region, or a "
            "larger reduce",
            limit=Limit(name="max_raw_pixels", value=MOST_PIXELS, got=got),
        )
    return region


def _bounds(shape: tuple[int, int], region: Region) -> tuple[int, int, int, int]:
    """A region in px of the whole image."""
    k, (m, n) = region.reduce, shape
    rows, columns = region.rows, region.columns
    return k * rows.start, k * columns.start, min(m, k * rows.stop), min(n, k * columns.stop)


def listed(*numbers: int) -> str:
    """As a header has several numbers."""
    return ",".join(map(str, numbers))
