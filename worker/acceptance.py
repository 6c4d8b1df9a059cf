"""From a received file to an image: decoded in a child, stored, entered into the ledger."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from worker.contract import FileInfo, ImageRecord
from worker.decoding.parent import decode
from worker.decoding.reducing import reduce_signals
from worker.decoding.terms import Limits
from worker.faultpoints import reached
from worker.ledger.database import is_full
from worker.ledger.images import Images
from worker.store import ORIGINAL, Store


@dataclass(frozen=True)
class ReceivedFile:
    """A file that lies, whole, in an upload folder, with those that belong to it."""

    folder: Path
    name: str
    sha256: str
    size: int
    companions: tuple[Path, ...] = ()

    @property
    def path(self) -> Path:
        return self.folder / ORIGINAL


@dataclass(frozen=True)
class Acceptance:
    """Where received files go.

    Parameters
    ----------
    images : Images
    store : Store
    limits : Limits
        What decoding a file may take.
    """

    images: Images
    store: Store
    limits: Limits

    def accept(
        self,
        file: ReceivedFile,
        *,
        owner: str,
        check: Callable[[FileInfo], None],
        check_space: Callable[[int], None],
    ) -> tuple[ImageRecord, bool]:
        """Decode a file and enter it; the bool says if it is new to its owner.

        Nothing is entered when `check`, which looks at the contents, or `check_space`, which is
        told the bytes that all its files take, raises.

        Raises
        ------
        FormatError
            When it is not an image that can be denoised.
        """
        known = self.images.by_digest(file.sha256, owner=owner)
        if known is not None:
            check(known.contents)
            if self.store.is_intact(known) and self.images.use(known.id):
                return known, False
        info = decode(file.path, file.folder, self.limits, file.companions)
        check(info)
        reduce_signals(file.folder, info)
        info = self.store.with_reduced(file.folder, self.store.with_digests(file.folder, info))
        stored = self.store.size_of_upload(file.folder)
        check_space(stored)
        return self._enter(file, owner, info, stored, known)

    def _enter(
        self,
        file: ReceivedFile,
        owner: str,
        info: FileInfo,
        stored: int,
        known: ImageRecord | None,
    ) -> tuple[ImageRecord, bool]:
        """Store first: what the ledger knows is there."""
        if known is None:
            image_id = folder = uuid4().hex
        else:  # expired or damaged: it gets files again, beside what is left of the old ones
            image_id, folder = known.id, f"{known.id}-{token_hex(4)}"
        info = replace(info, folder=folder)
        self.store.accept(file.folder, folder)
        reached("accept.stored")
        try:
            if known is not None:
                old = self.images.revive(image_id, info, stored, file.folder.name)
                if old is not None:
                    self.store.remove_image(old)
                    return self.images.get(image_id, owner=owner), False
            record, created = self.images.add(
                owner=owner,
                name=file.name,
                sha256=file.sha256,
                size=file.size,
                info=info,
                image_id=image_id,
                stored=stored,
                reservation=file.folder.name,
            )
        except SQLAlchemyError as error:
            if is_full(error):  # nothing was entered, and the disk needs the space now
                self.store.remove_image(folder)
            raise
        reached("accept.entered")
        if not created:  # the same file came twice at once
            self.store.remove_image(folder)
        return record, created
