"""The catalogue of codes: what a problem document or a failed job names, and what to do about it.

`docs/codes.md` is made from it; a test holds it to the codes that the source uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

By = Literal["answer", "job"]


@dataclass(frozen=True)
class Code:
    """What a code means.

    Parameters
    ----------
    statuses : tuple of int
        Of the answers that carry it; none where only a failed job does.
    meaning : str
    remedy : str
        What a client, or whoever runs the server, does about it.
    by : tuple of {"answer", "job"}
        Where it is seen: in a problem document, in a failed job's `error`.
    """

    statuses: tuple[int, ...]
    meaning: str
    remedy: str
    by: tuple[By, ...] = ("answer",)


AGAIN = "Repeat the request after `Retry-After` seconds, with the same Idempotency-Key."
OPERATOR = "Tell whoever runs the server the `request_id`: the log has the rest."
ANOTHER_FILE = "Send another file, or this one saved anew by the program that wrote it."
BOTH: tuple[By, ...] = ("answer", "job")

CODES: Mapping[str, Code] = {
    # The request.
    "bad_request": Code((400,), "The bytes are no HTTP request.", "Mend the client."),
    "client_disconnected": Code(
        (400,), "The connection ended before the request was complete.", "Repeat the request."
    ),
    "digest_mismatch": Code(
        (400,), "The body is not the one that `Content-Digest` names.", "Send it again."
    ),
    "invalid_digest": Code(
        (400,), "`Content-Digest` is malformed.", "Write it as RFC 9530 has it."
    ),
    "invalid_host": Code(
        (400,), "`Host` is no name or address.", "Use the server's name or address."
    ),
    "malformed_form": Code(
        (400,), "The multipart form is malformed.", "Let a library write the form."
    ),
    "unauthorized": Code(
        (401,),
        "No key, or one that has ended or was never made here.",
        "Send a key as `Authorization: Bearer KEY` or `X-API-Key`.",
    ),
    "missing_scope": Code(
        (403,), "The key may not do this.", "Use a key with the scope that `detail` names."
    ),
    "not_found": Code(
        (404,),
        "Nothing has this address, or it belongs to another owner.",
        "Use the links that the server gave.",
    ),
    "method_not_allowed": Code(
        (405,), "The address does not take this method.", "`Allow` names those it takes."
    ),
    "not_acceptable": Code(
        (406,), "None of the accepted formats is made here.", "`detail` names those that are."
    ),
    "request_timeout": Code(
        (408,), "The request came too slowly.", "Send it faster, or in fewer bytes."
    ),
    "conflict": Code(
        (409,),
        "The object is in a state that does not allow this.",
        "Look at the object first; `detail` says what is in the way.",
    ),
    "in_flight": Code(
        (409,),
        "A submission with the same Idempotency-Key is being received.",
        "Repeat the request when that one is answered: it gets the same answer.",
    ),
    "no_result": Code(
        (409,),
        "The job failed or was canceled: it has no result.",
        "Read the job's `error`; retry it when the reason is gone.",
    ),
    "not_ready": Code(
        (409,), "The job is not done.", "Wait by `GET /v1/jobs/{id}?wait=30` or by its events."
    ),
    "expired": Code(
        (410,), "The files were removed when their time was over.", "Submit the image anew."
    ),
    "too_large": Code(
        (413, 422, 431),
        "The body, its headers or what the file declares is larger than `limit` allows.",
        "Send less, or ask for a higher limit.",
    ),
    "unsupported_media_type": Code(
        (415,), "The body's Content-Type is not taken here.", "`detail` names those that are."
    ),
    "range_not_satisfiable": Code(
        (416,), "The range lies outside of the file.", "`Content-Range` tells the file's size."
    ),
    "invalid_request": Code(
        (422,), "Fields were refused.", "`errors` names each field and what is expected of it."
    ),
    "idempotency_mismatch": Code(
        (422,),
        "The Idempotency-Key was used for another submission.",
        "Use a new key for every submission.",
    ),
    # A live session.
    "session_closed": Code(
        (409,), "The session has ended: it takes no frames.", "Open another one."
    ),
    "frame_passed": Code(
        (409,),
        "A later frame has begun: frames come in order.",
        "Go on with the newest frame; leave this one out.",
    ),
    "rows_overlap": Code(
        (409,),
        "Some of these rows came before, others did not.",
        "Send each row once. The same rows sent again, as after a lost answer, are taken as such.",
    ),
    "no_frame": Code(
        (409,),
        "No whole frame has come that a job could be made of.",
        "Send all rows of one, or end the session without a job.",
    ),
    "wrong_size": Code(
        (422,), "The pixels are not those of the rows.", "`detail` tells how many bytes they have."
    ),
    # Limits.
    "session_full": Code(
        (429,), "As many frames of a lossless session wait as may.", "Send the frame again."
    ),
    "too_many_sessions": Code(
        (429,),
        "As many live sessions are open as may, or they take as much memory.",
        "Close one, or ask for smaller frames and fewer that are kept.",
    ),
    "queue_full": Code((429,), "The queue, or this owner's part of it, is full.", AGAIN),
    "rate_limited": Code((429,), "More requests than the server allows a key.", AGAIN),
    "too_many_drawings": Code((429,), "Too many pictures of this owner wait to be drawn.", AGAIN),
    "too_many_requests": Code(
        (429,), "Too many requests of this owner wait for those before them.", AGAIN
    ),
    "too_many_waiting": Code(
        (429,),
        "Too many event streams and waiting requests are open.",
        "Close some: one stream for each job is enough.",
    ),
    "quota_exceeded": Code(
        (507,), "This owner's files would exceed the quota.", "Delete jobs and images."
    ),
    "insufficient_storage": Code(
        (507,), "The server's disk is full.", "Whoever runs the server makes room.", BOTH
    ),
    "too_large_to_draw": Code(
        (503,),
        "Drawing took more time or memory than a picture may.",
        "Ask for a smaller picture, one frame, or the file in another format.",
    ),
    "too_many_jobs": Code(
        (422,), "More jobs than come in one archive.", "Name some of them by `id`."
    ),
    "region_too_large": Code(
        (422,),
        "More pixels than are sent, or looked at, at once.",
        "Ask for a smaller region, or a larger `reduce`; of a revision, make a job.",
    ),
    # The file.
    "unsupported_format": Code(
        (422,),
        "The file has a format, or a part in a form, that is not read here.",
        "`GET /v1/capabilities` names the formats; save the image in one of them.",
    ),
    "damaged_file": Code((422,), "The file is damaged or cut short.", ANOTHER_FILE),
    "empty_file": Code((422,), "The file has no bytes.", ANOTHER_FILE),
    "forbidden_content": Code(
        (422,), "The file refers to other files or holds filters and code.", ANOTHER_FILE
    ),
    "incomplete": Code(
        (422,),
        "A file that belongs to this one is missing, as the .ser files of an .emi.",
        "Send all of them in one form.",
    ),
    "unexpected_file": Code(
        (422,), "The files do not belong together.", "Send one image, or an .emi with its .ser."
    ),
    "invalid_archive": Code(
        (422,),
        "The zip of images is none, or holds what does not belong into one: names outside of it, "
        "links, encrypted files, one name or one file twice.",
        "Pack the images anew, each once; `detail` names the entry.",
    ),
    "no_image": Code((422,), "The file holds no image.", "Send one that does: spectra are not."),
    "not_an_image": Code(
        (422,), "The signal is a spectrum, a spectrum map or a profile.", "Choose an image."
    ),
    "not_grayscale": Code((422,), "The image is in colour.", "Send the detector's own channel."),
    "too_slow": Code(
        (422,), "Reading the file took longer than a file of its size may.", ANOTHER_FILE
    ),
    "too_compressed": Code(
        (422,), "The file is packed more tightly than images are.", "Save it uncompressed."
    ),
    "too_many_pixels": Code((422,), "The image exceeds `limit`.", "Crop or bin the image."),
    # The picture.
    "invalid_look": Code((422,), "The picture cannot look like that.", "`detail` says why."),
    "one_frame_needed": Code((422,), "A picture shows one frame.", "Add `frame=0` to the query."),
    # The process that reads files.
    "decoder_failed": Code(
        (500,), "The process that reads files died; the file need not be at fault.", OPERATOR
    ),
    # The image and its parameters.
    "invalid_image": Code(
        (422,), "The image cannot be denoised: `detail` says why.", "Send another image.", BOTH
    ),
    "invalid_parameter": Code(
        (422,), "A parameter does not fit the image.", "Choose another, or leave it out.", BOTH
    ),
    "invalid_model": Code(
        (422,), "The classifier's file is damaged or of another version.", OPERATOR, BOTH
    ),
    "invalid_survey": Code((422,), "The survey cannot be used.", "`detail` says why.", BOTH),
    "memory_budget": Code(
        (422,),
        "The image needs more memory than a worker may use.",
        "Crop or bin the image, or let the operator give workers more memory.",
        BOTH,
    ),
    "reucid_error": Code((422,), "The image was refused.", "`detail` says why.", BOTH),
    # The job.
    "timeout": Code(
        (), "The job took longer than the server allows.", "Send less at once.", ("job",)
    ),
    "source_gone": Code(
        (),
        "The result that was to be revised was removed before.",
        "Denoise the image again, and revise that.",
        ("job",),
    ),
    "worker_lost": Code(
        (), "Workers died of this job, or under it, too often.", OPERATOR, ("job",)
    ),
    "out_of_memory": Code((), "The worker ran out of memory.", "Send less at once.", ("job",)),
    # The server.
    "damaged_artifact": Code(
        (500,),
        "A stored result is not what was written: it is not served.",
        "Retry the job.",
        BOTH,
    ),
    "damaged_image": Code(
        (500,),
        "A stored image is not what was uploaded: it is not used.",
        "Upload the file again: that mends the image.",
        BOTH,
    ),
    "internal": Code((500,), "A fault of the server.", OPERATOR, BOTH),
    "ledger_damaged": Code(
        (503,), "The server's database is damaged.", "Its operator restores the backup."
    ),
    "live_unavailable": Code(
        (503,),
        "The server's queue, which holds live frames, does not answer.",
        "Go on with a later frame: the scan need not wait.",
    ),
    "ledger_unavailable": Code((503,), "The server's database does not answer.", AGAIN),
    "store_unavailable": Code(
        (503,), "What keeps the server's inputs and results does not answer.", AGAIN
    ),
}
