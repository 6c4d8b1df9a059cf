"""Who asks, as the server sees it."""

from fastapi import APIRouter

from app.api.auth import CallerDep
from app.api.schemas import CallerInfo
from app.http.problems import problems

router = APIRouter(tags=["keys"])


@router.get("/caller", responses=problems(500))
def caller(caller: CallerDep) -> CallerInfo:
    """Owner and scopes of the key that the request shows; any key may ask."""
    return CallerInfo(owner=caller.owner, scopes=sorted(caller.scopes))
