"""From a received file to an image: decoded in a child, stored, entered into the ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from worker.contract import FileInfo, ImageRecord
from worker.decoding.parent import decode
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
        info = self.store.with_digests(file.folder, info)
        check_space(self.store.size_of_upload(file.folder))
        self.store.sync(file.folder)  # before the ledger's only writer would have to wait for it
        if known is not None and self._revive(file, known.id, info):
            return self.images.get(known.id, owner=owner), False
        return self._enter(file, owner, info)

    def _enter(self, file: ReceivedFile, owner: str, info: FileInfo) -> tuple[ImageRecord, bool]:
        """Store first: what the ledger knows is there."""
        image_id = uuid4().hex
        self.store.accept(file.folder, image_id)
        reached("accept.stored")
        try:
            record, created = self.images.add(
                owner=owner,
                name=file.name,
                sha256=file.sha256,
                size=file.size,
                info=info,
                image_id=image_id,
                stored=self.store.size_of_image(image_id),
                reservation=file.folder.name,
            )
        except SQLAlchemyError as error:
            if is_full(error):  # nothing was entered, and the disk needs the space now
                self.store.remove_image(image_id)
            raise
        reached("accept.entered")
        if not created:  # the same file came twice at once
            self.store.remove_image(image_id)
        return record, created

    def _revive(self, file: ReceivedFile, image_id: str, info: FileInfo) -> bool:
        """Put a file where an expired or damaged one was; False if its record is gone, too."""
        old: list[Path] = []  # deleted when others may write to the ledger again

        def place() -> int:
            old.append(self.store.put_away(image_id))
            self.store.accept(file.folder, image_id)
            return self.store.size_of_image(image_id)

        revived = self.images.revive(image_id, info, place, file.folder.name)
        for folder in old:
            self.store.discard(folder)
        return revived
