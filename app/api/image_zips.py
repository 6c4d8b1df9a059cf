"""Zips of images: unpacked, and all of their files accepted or none."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from anyio import CancelScope, to_thread
from fastapi.concurrency import run_in_threadpool

from app.api.archives import MOST_JOBS
from app.api.errors import to_problem
from app.api.quotas import Space, check_free, room
from app.api.services import Services
from app.api.uploads import MOST_FILES, Upload, acceptance, plain_name
from app.http.problems import FieldError, Problem
from reucid_core.errors import ReucidError
from worker.acceptance import Decoded, ReceivedFile, assemble
from worker.contract import FileInfo, ImageRecord
from worker.formats import FormatError, LimitError
from worker.image_zips import Packed, Terms, unpack
from worker.ledger.refusals import LedgerError
from worker.settings import Settings

GROWTH = 4  # bytes unpacked for each byte that an upload may have
MOST_REFUSED = 8  # images, after which no further one is looked at
REFUSALS = (Problem, LedgerError, ReucidError, FormatError)

Check = Callable[[FileInfo], None]


def most_unpacked(settings: Settings) -> int:
    """Bytes that the files of a zip may have together."""
    return GROWTH * settings.max_upload


async def accept_all(
    services: Services, file: ReceivedFile, sent: Upload, *, owner: str, check: Check
) -> list[ImageRecord]:
    """Unpack a zip, decode every file, and only then enter them all.

    If the ledger goes away while they are entered, those before stay, as images sent without a job.

    Raises
    ------
    Problem
        Of the first file that is refused; `errors` names each, up to a few.
    """
    async with AsyncExitStack() as stack:
        packed = await _unpacked(services, file, sent, owner)
        jobs, most = services.jobs, room(services)
        await run_in_threadpool(jobs.check_room, owner, most, len(packed))
        unpacked = sum(path.stat().st_size for each in packed for path in each.paths)
        kept = _Kept(sent.space, file.size + unpacked)
        await run_in_threadpool(kept.add, 0)
        decoded: list[Decoded | ImageRecord] = []
        refused: list[tuple[str, Problem]] = []
        for each in packed:
            received = await run_in_threadpool(_received, services, stack, each)
            decode = partial(
                acceptance(services).decode,
                received,
                owner=owner,
                check=check,
                check_space=kept.add,
            )
            try:
                async with services.decoding.place(owner):
                    decoded.append(await to_thread.run_sync(decode, limiter=services.decoders))
            except REFUSALS as error:
                refused.append((each.name, to_problem(error)))
                if refused[-1][1].status != 422 or len(refused) == MOST_REFUSED:
                    break
        if refused:
            raise _refusal(refused, len(packed))
        _check_different([each.name for each in packed], decoded)
        entering = (partial(acceptance(services).enter, each, owner=owner) for each in decoded)
        return [(await run_in_threadpool(enter))[0] for enter in entering]


class _Kept:
    """Bytes that a zip and what comes of it take, promised as they grow."""

    def __init__(self, space: Space, size: int) -> None:
        self._space, self._size = space, size

    def add(self, more: int) -> None:
        self._size += more
        self._space.promise(self._size)


async def _unpacked(
    services: Services, file: ReceivedFile, sent: Upload, owner: str
) -> list[Packed]:
    """The files of a zip, beside it: no more than the disk has room for."""
    settings, most = services.settings, most_unpacked(services.settings)
    folder = sent.folder / "unpacked"
    await run_in_threadpool(folder.mkdir, 0o700)
    async with services.decoding.place(owner):
        left = max(0, await run_in_threadpool(services.store.free) - settings.min_free)
        share = left // int(services.decoders.total_tokens)  # as many may unpack at once
        terms = Terms(MOST_JOBS, MOST_FILES, settings.max_upload, min(most, share))
        work = partial(unpack, file.path, folder, terms)
        try:
            return await to_thread.run_sync(work, limiter=services.decoders)
        except LimitError as error:
            if error.limit == "max_unpacked" and error.got <= most:  # the limit was the disk's
                check_free(services, int(error.got))
            raise


def _received(services: Services, stack: AsyncExitStack, packed: Packed) -> ReceivedFile:
    """A file of the zip as if it had come by itself; what is not entered goes with the stack."""
    folder = services.store.new_upload()
    stack.push_async_callback(_discard, services, folder)
    files = [(packed.name, packed.path), *packed.companions]
    named = [(plain_name(name), path) for name, path in files]
    return assemble(folder, named[0], named[1:])


async def _discard(services: Services, folder: Path) -> None:
    with CancelScope(shield=True):  # also where the request was given up
        await run_in_threadpool(services.store.discard, folder)


def _refusal(refused: Sequence[tuple[str, Problem]], total: int) -> Problem:
    """Of one file or several: the status and code of the first."""
    name, first = refused[0]
    more = f" ({len(refused)} of {total} files were refused)" if len(refused) > 1 else ""
    return Problem(
        first.status,
        first.code,
        f"{name}: {first.detail}{more}",
        errors=[FieldError(field=f"file/{name}", message=each.detail) for name, each in refused],
        headers=first.headers,
        limit=first.limit,
    )


def _check_different(names: Sequence[str], decoded: Sequence[Decoded | ImageRecord]) -> None:
    """One file under two names would be denoised twice."""
    seen: dict[str, str] = {}
    for name, each in zip(names, decoded, strict=True):
        sha256 = each.sha256 if isinstance(each, ImageRecord) else each.file.sha256
        other = seen.setdefault(sha256, name)
        if other != name:
            raise Problem(
                422,
                "invalid_archive",
                f"got the same file as {other} and as {name}, expected each image once",
            )
