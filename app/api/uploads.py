"""Files on their way in: streamed to the store and hashed as they come, then handed on."""

import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CancelScope, to_thread
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.api.batch_schemas import BatchForm
from app.api.deps import Services
from app.api.quotas import FORM_LINES, Space, too_large
from app.api.schemas import JobForm
from app.http.digests import checked_stream
from app.http.problems import FieldError, Problem, invalid
from worker.acceptance import Acceptance, ReceivedFile, assemble
from worker.contract import FileInfo, ImageRecord
from worker.decoding.terms import Limits
from worker.settings import MIB
from worker.store import ORIGINAL, companion_name

LONGEST_FIELD = 64 * 1024  # bytes of one form field that is not the file
MOST_FIELDS = 32
MOST_FILES = 16  # an EMI file and its SER files
LONGEST_NAME = 255
MOST_PARTS = MOST_FIELDS + MOST_FILES
NAMELESS = "image"
TEXTS = frozenset(JobForm.model_fields) | frozenset(
    BatchForm.model_fields
)  # a client may send these from files, too
PIECE = MIB // 4  # bytes of a body that are written at a time; kept of every slow one
EMI_MAGIC = b"JK\x00\x02"


@dataclass
class Form:
    """A multipart body: files, and short text fields."""

    files: list["_Sink"] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)

    def received(self) -> ReceivedFile | None:
        """The file that was sent; of several, the EMI file with the others in order of number.

        Several are hashed once more, as one: not a thing to do in the event loop.
        """
        if len(self.files) <= 1:
            return self.files[0].received() if self.files else None
        for each in self.files:
            each.close()
        ordered = sorted(self.files, key=lambda each: (not each.is_emi, each.name))
        first, *others = [(each.name, each.path) for each in ordered]
        return assemble(ordered[0].path.parent, first, others)


def media_type(request: Request) -> str:
    """The content type without its parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def unsupported(got: str, expected: str) -> Problem:
    """415 for a body of another kind than expected."""
    return Problem(415, "unsupported_media_type", f"got Content-Type {got!r}, expected {expected}")


@dataclass(frozen=True)
class Upload:
    """Where the files of a request go, and the space they may take."""

    folder: Path
    space: Space


async def receive_body(request: Request, upload: Upload, services: Services) -> ReceivedFile:
    """Store a raw request body."""
    sink, size = _Sink(upload.folder / ORIGINAL, NAMELESS, services.settings.max_upload), 0
    try:
        async for piece in _pieces(request):
            size += len(piece)
            await run_in_threadpool(_take, upload.space, size, sink.write, piece)
    finally:
        sink.close()
    return sink.received()


async def receive_form(request: Request, upload: Upload, services: Services) -> Form:
    """Store a multipart body's file and collect its fields, in one pass and little memory."""
    _, options = parse_options_header(request.headers["content-type"])
    limit, size = services.settings.max_upload, 0
    reader = _FormReader(upload.folder, limit)
    try:
        parser = MultipartParser(options[b"boundary"], reader.callbacks())
        async for piece in _pieces(request):
            size += len(piece)
            if size > limit + FORM_LINES:
                raise too_large(size, limit)
            await run_in_threadpool(_take, upload.space, size, parser.write, piece)
        if not reader.ended:
            raise FormParserError("it ends before its last boundary")
    except (KeyError, FormParserError) as error:
        raise Problem(400, "malformed_form", f"the multipart form is malformed: {error}") from error
    finally:
        reader.close()
    return reader.form


def _take(space: Space, size: int, write: Callable[[bytes], object], piece: bytes) -> None:
    """Write a piece, unless there is no space for so much, or others have filled the disk."""
    space.grow(size)
    write(piece)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces that are worth a thread's while."""
    piece = bytearray()
    async for chunk in checked_stream(request):
        piece += chunk
        if len(piece) >= PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


async def read_json(request: Request) -> bytes:
    """A short body, for a schema to validate."""
    body = b""
    async for chunk in checked_stream(request):
        body += chunk
        if len(body) > MIB:
            raise Problem(413, "too_large", f"got a JSON body of more than {MIB} bytes")
    return body


def acceptance(services: Services) -> Acceptance:
    """Where received files go."""
    settings = services.settings
    limits = Limits(settings.max_pixels, settings.decode_timeout_s)
    return Acceptance(services.images, services.store, limits)


async def accept(
    services: Services,
    file: ReceivedFile | None,
    *,
    owner: str,
    space: Space,
    check: Callable[[FileInfo], None] = lambda _: None,
) -> tuple[ImageRecord, bool]:
    """Decode a received file and enter it into store and ledger; the bool says if it is new.

    Nothing is entered when `check` raises.
    """
    if file is None:
        raise invalid([FieldError(field="file", message="got no file, expected one image file")])
    enter = partial(
        acceptance(services).accept,
        file,
        owner=owner,
        check=check,
        check_space=space.promise,  # now that it is decoded it takes more
    )
    async with services.decoding.place(owner):
        # In threads of their own: files that decode slowly must not hold up everything else.
        return await to_thread.run_sync(enter, limiter=services.decoders)


@asynccontextmanager
async def incoming(services: Services, owner: str) -> AsyncIterator[Upload]:
    """A place for one request's files; what was not accepted goes with the request."""
    folder = await run_in_threadpool(services.store.new_upload)
    upload = Upload(folder, Space(services, owner, folder.name))
    try:
        async with upload.space.kept():
            yield upload
    finally:
        with CancelScope(shield=True):  # also where the request was given up
            await run_in_threadpool(services.store.discard, folder)


def plain_name(stated: str) -> str:
    """A file's name as its sender's system shows it: no folders, nothing that cannot be seen."""
    last = re.split(r"[/\\]", stated)[-1]
    name = "".join(c for c in last if c.isprintable()).strip()[:LONGEST_NAME]
    return NAMELESS if name.strip(".") == "" else name


class _Sink:
    """A file being written and hashed."""

    def __init__(self, path: Path, name: str, limit: int, before: int = 0) -> None:
        self.path = path
        self.name = plain_name(name)
        self.size = 0
        self._limit = limit  # bytes of one upload
        self._before = before  # bytes of its other files
        self._head = b""
        self._digest = hashlib.sha256()
        self._file = path.open("xb")

    @property
    def is_emi(self) -> bool:
        return self._head.startswith(EMI_MAGIC)

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self._before + self.size > self._limit:
            raise too_large(self._before + self.size, self._limit)
        if len(self._head) < len(EMI_MAGIC):
            self._head += data[: len(EMI_MAGIC)]
        self._digest.update(data)
        self._file.write(data)

    def close(self) -> None:
        self._file.close()

    def received(self) -> ReceivedFile:
        self.close()
        return ReceivedFile(self.path.parent, self.name, self._digest.hexdigest(), self.size)


class _FormReader:
    """Callbacks of the multipart parser: parts called `file` go to disk, others to memory."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.form = Form()
        self.ended = False
        self._folder = folder
        self._limit = limit
        self._sink: _Sink | None = None
        self._header = self._header_value = b""
        self._disposition: dict[bytes, bytes] = {}
        self._text = bytearray()
        self._parts = 0

    def callbacks(self) -> Any:  # a TypedDict that exists for type checkers only
        return {
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, self._disposition = parse_options_header(self._header_value)
        self._header = self._header_value = b""

    def _on_headers_finished(self) -> None:
        self._text.clear()
        self._parts += 1
        if self._parts > MOST_PARTS:
            message = f"got a form of more than {MOST_PARTS} parts"
            raise Problem(422, "invalid_request", message)
        if self._part_name() != "file":
            self._refuse_other_files()
            return
        sent = len(self.form.files)
        if sent == MOST_FILES:
            message = f"got more than {MOST_FILES} files, expected one, or an EMI file with its SER"
            raise invalid([FieldError(field="file", message=message)])
        name = self._disposition.get(b"filename", b"").decode("utf-8", "replace")
        path = self._folder / (companion_name(sent) if sent else ORIGINAL)
        before = sum(each.size for each in self.form.files)
        self._sink = _Sink(path, name, self._limit, before)

    def _refuse_other_files(self) -> None:
        """An image under another name would be refused as a text that is too long."""
        name = self._part_name()
        if b"filename" in self._disposition and name not in TEXTS:
            message = f"got a file in the field `{name[:LONGEST_NAME]}`, expected the field `file`"
            raise invalid([FieldError(field="file", message=message)])

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._sink is not None:
            self._sink.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > LONGEST_FIELD:
            message = f"got more than {LONGEST_FIELD} bytes"
            raise invalid([FieldError(field=self._part_name(), message=message)])

    def _on_part_end(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self.form.files.append(self._sink)
            self._sink = None
        elif len(self.form.fields) < MOST_FIELDS:
            self.form.fields[self._part_name()] = self._text.decode("utf-8", "replace")
        else:
            raise Problem(422, "invalid_request", f"got more than {MOST_FIELDS} form fields")
        self._disposition = {}

    def _on_end(self) -> None:
        self.ended = True

    def _part_name(self) -> str:
        return self._disposition.get(b"name", b"").decode("utf-8", "replace")
