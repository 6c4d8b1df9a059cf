"""What can be asked of this server."""

from typing import Any

from fastapi import APIRouter

from app.auth import ReaderDep
from app.deps import ServicesDep
from app.errors import problems
from app.schemas import Model, ModelList, Params
from worker.model import available, default_path

router = APIRouter(tags=["models"])


@router.get("/models", responses=problems(500))
def models(services: ServicesDep, _: ReaderDep) -> ModelList:
    """The classifiers a job may name, the default first; a report holds its own's identity."""
    found = available(services.settings).values()
    default = default_path(services.settings)
    return ModelList(models=[Model.of(each, default=each.path == default) for each in found])


@router.get("/schema/params", responses=problems(500))
def params(_: ReaderDep) -> dict[str, Any]:
    """JSON Schema of a job's parameters, for making a form of it."""
    return Params.model_json_schema()
