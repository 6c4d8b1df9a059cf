"""What can be asked of this server."""

from typing import Any

from fastapi import APIRouter

from app.api.auth import ReaderDep
from app.api.deps import ServicesDep
from app.api.schemas import Model, ModelList, Params
from app.http.problems import problems

router = APIRouter(tags=["models"])


@router.get("/models", responses=problems(500))
def models(services: ServicesDep, _: ReaderDep) -> ModelList:
    """The classifiers that a job may name; its report has the identity of the one it was given."""
    offered, default = services.models.offered(), services.models.default
    return ModelList(
        models=[Model.of(info, default=name == default) for name, info in offered.items()]
    )


@router.get("/schema/params", responses=problems(500))
def params(_: ReaderDep) -> dict[str, Any]:
    """JSON Schema of a job's parameters, for making a form of it."""
    return Params.model_json_schema()
