"""How a client wants an image: in which format and type, which frame, with what look."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from fastapi import Depends, Header, Query

from app.api.cache import CLIPPED
from app.api.schemas import Colormap
from app.http.negotiation import choose
from worker.formats import MEDIA_TYPES, Look, parse_percentiles

Format = Literal["tiff", "npy", "png", "mrc", "hspy"]

BY_MEDIA_TYPE: dict[str, Format] = {
    media_type: format_  # type: ignore[misc]
    for format_, media_type in MEDIA_TYPES.items()
}
LAST_FRAME = 10**6
PERCENTILE = r"(100|[0-9]{1,2}(\.[0-9]{1,4})?)"

FormatQuery = Annotated[
    Format | None,
    Query(alias="format", description="Format of the answer; overrides the Accept header."),
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
class Wish:
    """How a client wants an image."""

    format: Format
    source: bool = False  # in the type of the source
    frame: int | None = None  # of a stack, one frame
    look: Look | None = None  # of a picture, if otherwise than usual

    @property
    def stem(self) -> str:
        """What tells its file from those of other wishes, beside the format."""
        frame = "" if self.frame is None else f"-frame{self.frame:04d}"
        return f"{frame}-source" if self.source else frame


# Dependencies, which never wait and so need no thread. Each is one of the document's parameters or
# some that follow one another: their order there is the one in which these are named.


async def _format(format_: FormatQuery = None, accept: AcceptHeader = "*/*") -> Format:
    """What is stated, else what the client likes best, TIFF if it takes anything."""
    return BY_MEDIA_TYPE[choose(accept, list(BY_MEDIA_TYPE))] if format_ is None else format_


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


FormatDep = Annotated[Format, Depends(_format)]
SourceDep = Annotated[bool, Depends(_source)]
ViewDep = Annotated[tuple[int | None, Look | None], Depends(_view)]


async def _interim_wish(format_: FormatDep) -> Wish:
    return Wish(format_)


async def _wish(format_: FormatDep, view: ViewDep) -> Wish:
    return Wish(format_, False, *view)


async def _result_wish(format_: FormatDep, source: SourceDep, view: ViewDep) -> Wish:
    return Wish(format_, source, *view)


InterimWish = Annotated[Wish, Depends(_interim_wish)]
WishDep = Annotated[Wish, Depends(_wish)]
ResultWish = Annotated[Wish, Depends(_result_wish)]
