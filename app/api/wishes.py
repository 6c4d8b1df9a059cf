"""How a client wants an image: in which format and type, which frame, with what look."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from fastapi import Depends, Header, Query
from pydantic import AfterValidator

from app.api.cache import CLIPPED
from app.api.schemas import Colormap
from app.http.negotiation import choose
from app.http.problems import FieldError, invalid
from worker.formats import MEDIA_TYPES, Look, parse_percentiles
from worker.pyramid.layout import LADDER

FileFormat = Literal["tiff", "npy", "png", "mrc", "hspy"]
Format = FileFormat | Literal["raw"]

BY_MEDIA_TYPE: dict[str, FileFormat] = {
    media_type: format_  # type: ignore[misc]
    for format_, media_type in MEDIA_TYPES.items()
}
LAST_FRAME = 10**6


def on_ladder(reduce: int) -> int:
    """A scale that there is."""
    if reduce not in LADDER:
        expected = ", ".join(map(str, LADDER))
        raise ValueError(f"got {reduce}, expected one of {expected}")
    return reduce


PERCENTILE = r"(100|[0-9]{1,2}(\.[0-9]{1,4})?)"

FileFormatQuery = Annotated[
    FileFormat | None,
    Query(alias="format", description="Format of the answer; overrides the Accept header."),
]
FormatQuery = Annotated[
    Literal["tiff", "npy", "png", "mrc", "hspy", "raw"] | None,
    Query(
        alias="format",
        description="Format of the answer; overrides the Accept header. `raw`: the numbers of one "
        "frame, or of a `region` of it, as little-endian float32 in row order without any header.",
    ),
]
RegionQuery = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{1,9}(,[0-9]{1,9}){3}$",
        description="Of `raw`: `y0,x0,y1,x1`, the first row and column in px of the whole image "
        "and those behind the last; all by default. It is widened to whole blocks of `reduce`.",
        examples=["0,0,512,512"],
    ),
]
ReduceQuery = Annotated[
    int,
    AfterValidator(on_ladder),
    Query(
        description="Of `raw`: side of the blocks of pixels whose means are sent; at the last row "
        "and column they may be smaller.",
        json_schema_extra={"enum": list(LADDER)},
    ),
]
DtypeQuery = Annotated[
    Literal["float", "source"],
    Query(
        description="`source`: the type of the uploaded image, rounded half to even and clipped to "
        f"its range; the header `{CLIPPED}` says how many pixels were out of it."
    ),
]
FrameQuery = Annotated[
    int | None,
    Query(
        ge=0,
        le=LAST_FRAME,
        description="One frame of a stack, from 0. A picture shows the first by default.",
    ),
]
PercentilesQuery = Annotated[
    str | None,
    Query(
        pattern=rf"^{PERCENTILE},{PERCENTILE}$",
        description="Of a picture: percentiles of the pixels shown darkest and brightest; "
        "0.1,99.9 by default.",
    ),
]
ColormapQuery = Annotated[Colormap | None, Query(description="Of a picture; gray by default.")]
ScalebarQuery = Annotated[
    bool, Query(description="Of a picture: a scale bar in a strip below the image.")
]
# OpenAPI says by the answer's content types what may be accepted.
AcceptHeader = Annotated[str, Header(include_in_schema=False)]


@dataclass(frozen=True)
class Cut:
    """Which part of an image is wanted, and at what scale."""

    region: tuple[int, int, int, int] | None = None  # y0, x0, y1, x1
    reduce: int = 1


@dataclass(frozen=True)
class Wish:
    """How a client wants an image."""

    format: Format
    source: bool = False  # in the type of the source
    frame: int | None = None  # of a stack, one frame
    look: Look | None = None  # of a picture, if otherwise than usual
    cut: Cut = Cut()  # of raw numbers

    @property
    def stem(self) -> str:
        """What tells its file from those of other wishes, beside the format."""
        frame = "" if self.frame is None else f"-frame{self.frame:04d}"
        return f"{frame}-source" if self.source else frame


# Dependencies, which never wait and so need no thread. Each is one of the document's parameters or
# some that follow one another: their order there is the one in which these are named.


async def _file_format(format_: FileFormatQuery = None, accept: AcceptHeader = "*/*") -> FileFormat:
    """What is stated, else what the client likes best, TIFF if it takes anything."""
    return BY_MEDIA_TYPE[choose(accept, list(BY_MEDIA_TYPE))] if format_ is None else format_


async def _format(format_: FormatQuery = None, accept: AcceptHeader = "*/*") -> Format:
    return BY_MEDIA_TYPE[choose(accept, list(BY_MEDIA_TYPE))] if format_ is None else format_


async def cut_of(region: RegionQuery = None, reduce: ReduceQuery = 1) -> Cut:
    """The part that is wanted, whether or not the image has it."""
    if region is None:
        return Cut(None, reduce)
    y0, x0, y1, x1 = map(int, region.split(","))
    return Cut((y0, x0, y1, x1), reduce)


async def _source(dtype: DtypeQuery = "float") -> bool:
    return dtype == "source"


async def _view(
    frame: FrameQuery = None,
    percentiles: PercentilesQuery = None,
    colormap: ColormapQuery = None,
    scalebar: ScalebarQuery = False,
) -> tuple[int | None, Look | None]:
    """Which frame is wanted, and how a picture of it looks, if otherwise than usual."""
    if percentiles is None and colormap is None and not scalebar:
        return frame, None
    look = Look(colormap=colormap or "gray", scalebar=scalebar)
    return frame, look if percentiles is None else replace(
        look, percentiles=parse_percentiles(percentiles)
    )


FileFormatDep = Annotated[FileFormat, Depends(_file_format)]
FormatDep = Annotated[Format, Depends(_format)]
SourceDep = Annotated[bool, Depends(_source)]
ViewDep = Annotated[tuple[int | None, Look | None], Depends(_view)]
CutDep = Annotated[Cut, Depends(cut_of)]


async def _interim_wish(format_: FormatDep, cut: CutDep) -> Wish:
    return _checked(Wish(format_, cut=cut))


async def _wish(format_: FileFormatDep, view: ViewDep) -> Wish:
    return Wish(format_, False, *view)


async def _raw_wish(format_: FormatDep, view: ViewDep, cut: CutDep) -> Wish:
    return _checked(Wish(format_, False, *view, cut))


async def _result_wish(format_: FormatDep, source: SourceDep, view: ViewDep, cut: CutDep) -> Wish:
    return _checked(Wish(format_, source, *view, cut))


def _checked(wish: Wish) -> Wish:
    """Refuse what cannot be had together, rather than leave some of it out."""
    if wish.format != "raw" and wish.cut != Cut():
        message = f"got a region or a scale of {wish.format}, expected format=raw with them"
        raise invalid([FieldError(field="query.region", message=message)])
    if wish.format == "raw" and wish.source:
        message = "got source with format=raw, expected float: raw numbers are float32"
        raise invalid([FieldError(field="query.dtype", message=message)])
    return wish


InterimWish = Annotated[Wish, Depends(_interim_wish)]
WishDep = Annotated[Wish, Depends(_wish)]
RawWish = Annotated[Wish, Depends(_raw_wish)]
ResultWish = Annotated[Wish, Depends(_result_wish)]
