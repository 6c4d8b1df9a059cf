"""Keys, for whoever administers the server."""

from fastapi import APIRouter, Response

from app.api.auth import AdminDep
from app.api.deps import Id, ServicesDep
from app.api.schemas import Key, KeyList, KeySpec, NewKey
from app.http.problems import problems
from worker.settings import DAY

router = APIRouter(prefix="/keys", tags=["keys"])


@router.post("", status_code=201, responses=problems(400, 408, 413, 422, 500))
def create(spec: KeySpec, response: Response, services: ServicesDep, _: AdminDep) -> NewKey:
    """Make a key. It is in this answer and nowhere else: keep it now."""
    record, key = services.keyring.create(
        owner=spec.owner,
        scopes=spec.scopes,
        name=spec.name,
        expires_in_s=spec.expires_days * DAY if spec.expires_days else None,
    )
    response.headers["Location"] = f"{services.settings.root_path}/v1/keys/{record.id}"
    response.headers["Cache-Control"] = "no-store"
    return NewKey(**Key.of(record).model_dump(), key=key)


@router.get("", responses=problems(500))
def index(services: ServicesDep, _: AdminDep) -> KeyList:
    """All keys, oldest first, ended ones too."""
    return KeyList(keys=[Key.of(record) for record in services.keyring.all()])


@router.get("/{key_id}", responses=problems(404, 422, 500))
def show(key_id: Id, services: ServicesDep, _: AdminDep) -> Key:
    """What is known of a key."""
    return Key.of(services.keyring.key(key_id))


@router.delete("/{key_id}", status_code=204, responses=problems(404, 422, 500))
def revoke(key_id: Id, services: ServicesDep, _: AdminDep) -> None:
    """End a key at once. Its record stays."""
    services.keyring.revoke(key_id)
