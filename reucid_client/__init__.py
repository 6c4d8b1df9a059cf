"""A client of REUCID servers, for old Pythons, with httpx and numpy alone.

It imports nothing of the rest of REUCID, and promises what the server does: a submission that is
repeated makes no second job, and a file is written whole or not at all.
"""

from reucid_client.asynchronous import AsyncClient, AsyncResult
from reucid_client.errors import (
    AddressError,
    JobError,
    ProblemError,
    ReucidClientError,
    UnreachableError,
)
from reucid_client.live import AsyncLiveSession, LiveSession
from reucid_client.live_messages import LiveResult
from reucid_client.many import Done, denoise_files
from reucid_client.models import Event, Image, Job
from reucid_client.retrying import Retrying
from reucid_client.synchronous import Client, Result

__version__ = "0.1.0"

__all__ = [
    "AddressError",
    "AsyncClient",
    "AsyncLiveSession",
    "AsyncResult",
    "Client",
    "Done",
    "Event",
    "Image",
    "Job",
    "JobError",
    "LiveResult",
    "LiveSession",
    "ProblemError",
    "Result",
    "Retrying",
    "ReucidClientError",
    "UnreachableError",
    "denoise_files",
]
