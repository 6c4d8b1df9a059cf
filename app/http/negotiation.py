"""Choosing among media types by an Accept header (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

from app.http.problems import Problem


def choose(accept: str, offers: Sequence[str]) -> str:
    """The offer the client likes best; the first of those it likes as well."""
    ranges = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    liking = {offer: _liking(offer, ranges) for offer in offers}
    best = max(offers, key=lambda offer: liking[offer])
    if liking[best] <= 0:
        expected = ", ".join(offers)
        raise Problem(406, "not_acceptable", f"got Accept: {accept}, expected one of {expected}")
    return best


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (each.strip().lower() for each in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                quality = float(parameter[2:])
            except ValueError:
                quality = 0.0
    return name, quality


def _liking(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that takes the offer."""
    kind = offer.split("/")[0]
    for pattern in (offer, f"{kind}/*", "*/*"):
        qualities = [quality for name, quality in ranges if name == pattern]
        if qualities:
            return max(qualities)
    return 0.0
