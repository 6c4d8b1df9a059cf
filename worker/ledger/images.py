"""The uploaded images of a ledger, as clients see and change them."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from worker.contract import FileInfo, ImageRecord
from worker.ledger.database import Database
from worker.ledger.refusals import ConflictError, missing
from worker.ledger.reservations import release
from worker.ledger.tables import Now, images, tombstones

_file_info = TypeAdapter(FileInfo)


class Images:
    """All images of a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        *,
        image_id: str,
        owner: str,
        name: str,
        sha256: str,
        size: int,
        info: FileInfo,
        stored: int | None = None,
        reservation: str = "",
    ) -> tuple[ImageRecord, bool]:
        """Enter an image; the owner's known one and False if the same file was entered before.

        What was promised to its upload by the reservation of this id is taken now.
        """
        row = {
            "id": image_id,
            "owner": owner,
            "name": name,
            "sha256": sha256,
            "size": size,
            "stored": size if stored is None else stored,
            "info": asdict(info),
            "created_at": Now(),
            "used_at": Now(),
        }
        try:
            with self._database.writing() as connection:
                connection.execute(insert(images).values(row))
                connection.execute(delete(tombstones).where(tombstones.c.id == image_id))
                release(connection, reservation)
        except IntegrityError:
            known = self.by_digest(sha256, owner=owner)
            if known is None:
                raise
            return known, False
        return self.get(image_id, owner=owner), True

    def get(self, image_id: str, *, owner: str | None = None) -> ImageRecord:
        """An image, of this owner if one is given."""
        query = select(images).where(images.c.id == image_id)
        if owner is not None:
            query = query.where(images.c.owner == owner)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                raise missing(connection, "image", image_id, owner)
            return _image(row)

    def page(
        self,
        *,
        owner: str | None = None,
        before: tuple[float, str] | None = None,
        limit: int = 50,
    ) -> list[ImageRecord]:
        """Images, of this owner if one is given, newest first, without their metadata.

        `before` are time and id of the last image already seen.
        """
        query = select(images)
        if owner is not None:
            query = query.where(images.c.owner == owner)
        if before is not None:
            created_at, id_ = before
            query = query.where(
                or_(
                    images.c.created_at < created_at,
                    and_(images.c.created_at == created_at, images.c.id < id_),
                )
            )
        query = query.order_by(images.c.created_at.desc(), images.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_without_metadata(_image(row)) for row in connection.execute(query)]

    def by_digest(self, sha256: str, *, owner: str) -> ImageRecord | None:
        """The owner's image whose file has this SHA-256."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(images).where(images.c.sha256 == sha256, images.c.owner == owner)
            ).one_or_none()
            return None if row is None else _image(row)

    def use(self, image_id: str) -> bool:
        """Note that an image was sent again; False if it has expired meanwhile."""
        here = (images.c.id == image_id, images.c.expired_at.is_(None))
        with self._database.writing() as connection:
            used = connection.execute(update(images).where(*here).values(used_at=Now()))
        return bool(used.rowcount)

    def revive(
        self, image_id: str, info: FileInfo, stored: int, reservation: str = ""
    ) -> str | None:
        """Give an expired or damaged image files again, as they were decoded now.

        They lie in a folder of their own. Gives the one that nobody needs any more, or None if
        the image's record is gone, too.
        """
        here = images.c.id == image_id
        with self._database.writing() as connection:
            # Locked: of two who send it at once, each removes what the other has replaced.
            old = connection.execute(select(images).where(here).with_for_update()).first()
            if old is None:
                return None
            back = {"expired_at": None, "purged": False, "used_at": Now(), "info": asdict(info)}
            connection.execute(update(images).where(here).values(back | {"stored": stored}))
            release(connection, reservation)
        return _image(old).folder

    def delete(self, image_id: str, *, owner: str) -> str:
        """Forget an image that no job refers to; the folder where its files are still."""
        self.get(image_id, owner=owner)
        try:
            with self._database.writing() as connection:
                old = connection.execute(
                    delete(images).where(images.c.id == image_id).returning(images.c.info)
                ).scalar_one_or_none()
        except IntegrityError as error:
            raise ConflictError(
                f"image {image_id} is the input of at least one job: delete the jobs first"
            ) from error
        return folder_in(old or {}, image_id)


def folder_in(info: Mapping[str, Any], image_id: str) -> str:
    """Where the files of an image are in the store, by what its row holds."""
    return str(info.get("folder") or image_id)


def _without_metadata(image: ImageRecord) -> ImageRecord:
    """One at a time, so that a page of images takes little memory."""
    signals = tuple(replace(each, metadata={}) for each in image.contents.signals)
    return replace(image, contents=replace(image.contents, signals=signals))


def _image(row: Row[Any]) -> ImageRecord:
    return ImageRecord(
        id=row.id,
        owner=row.owner,
        name=row.name,
        sha256=row.sha256,
        size=row.size,
        created_at=row.created_at,
        contents=_file_info.validate_python(row.info),
        expired_at=row.expired_at,
    )
