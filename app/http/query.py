"""Query parameters that a route does not know are refused: a typo is no default."""

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from app.http.problems import FieldError, invalid


def refuse_unknown(request: Request) -> None:
    """Of the route that is asked.

    Raises
    ------
    Problem
        422 `invalid_request`, which names each unknown parameter and those that are known.
    """
    route = request.scope["route"]
    if not isinstance(route, APIRoute):
        return
    known = [
        field.alias
        for field in get_flat_params(route.dependant)
        if isinstance(field.field_info, Query)
    ]
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        expected = f"expected one of {', '.join(known)}" if known else "expected none"
        raise invalid(
            [
                FieldError(
                    field=f"query.{name[:64]}", message=f"got an unknown parameter; {expected}"
                )
                for name in unknown
            ]
        )
