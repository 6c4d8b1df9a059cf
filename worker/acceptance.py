"""From a received file to an image: decoded in a child, stored, entered into the ledger."""

import hashlib
from collections.abc import Callable, Sequence
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
from worker.formats.series import series_numbers
from worker.ledger.database import is_full
from worker.ledger.images import Images
from worker.settings import MIB
from worker.store import ORIGINAL, Store, companion_name


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


def assemble(
    folder: Path, first: tuple[str, Path], others: Sequence[tuple[str, Path]] = ()
) -> ReceivedFile:
    """Make files an upload, moved into its folder under the names that the store has for them.

    Of several, given by name and place, `first` is the one that the others belong to; they are
    told apart by the numbers in their names, and hashed as one.
    """
    moved = [path.rename(folder / f"sent-{n}") for n, (_, path) in enumerate((first, *others))]
    numbers = series_numbers([name for name, _ in others])
    companions = sorted(
        path.rename(folder / companion_name(number))
        for number, path in zip(numbers, moved[1:], strict=True)
    )
    files = (moved[0].rename(folder / ORIGINAL), *companions)
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(MIB):
                digest.update(chunk)
    size = sum(path.stat().st_size for path in files)
    return ReceivedFile(folder, first[0], digest.hexdigest(), size, tuple(companions))


@dataclass(frozen=True)
class Decoded:
    """A file that may be entered.

    Parameters
    ----------
    file : ReceivedFile
    info : FileInfo
    stored : int
        Bytes that all its files take.
    known : ImageRecord or None
        Of the same file, as its owner sent it before; expired or damaged since.
    """

    file: ReceivedFile
    info: FileInfo
    stored: int
    known: ImageRecord | None


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

        Raises
        ------
        FormatError
            When it is not an image that can be denoised.
        """
        decoded = self.decode(file, owner=owner, check=check, check_space=check_space)
        return self.enter(decoded, owner=owner)

    def decode(
        self,
        file: ReceivedFile,
        *,
        owner: str,
        check: Callable[[FileInfo], None],
        check_space: Callable[[int], None],
    ) -> Decoded | ImageRecord:
        """Decode a file, unless its image is there already. Nothing is entered.

        `check` looks at the contents, `check_space` is told the bytes that all its files take; they
        raise where the image is not to be accepted.

        Raises
        ------
        FormatError
            When it is not an image that can be denoised.
        """
        known = self.images.by_digest(file.sha256, owner=owner)
        if known is not None:
            check(known.contents)
            if self.store.is_intact(known) and self.images.use(known.id):
                return known
        info = decode(file.path, file.folder, self.limits, file.companions)
        check(info)
        reduce_signals(file.folder, info)
        info = self.store.with_reduced(file.folder, self.store.with_digests(file.folder, info))
        stored = self.store.size_of_upload(file.folder)
        check_space(stored)
        return Decoded(file, info, stored, known)

    def enter(self, decoded: Decoded | ImageRecord, *, owner: str) -> tuple[ImageRecord, bool]:
        """Enter what was decoded; the bool says if it is new to its owner.

        Store first: what the ledger knows is there.
        """
        if isinstance(decoded, ImageRecord):
            return decoded, False
        file, info, stored, known = decoded.file, decoded.info, decoded.stored, decoded.known
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
