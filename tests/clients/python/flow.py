"""From upload to result, error and events with the client that openapi-python-client makes."""

import io
import sys
from pathlib import Path

from generated import AuthenticatedClient
from generated.api.images import images_upload
from generated.api.jobs import jobs_events, jobs_show, jobs_submit
from generated.api.results import results_report, results_result
from generated.models import (
    Image,
    ImagesUploadFilesBody,
    Job,
    JobSpec,
    Params,
    ProblemBody,
    ResultsResultFormatType0,
    State,
)
from generated.types import File


def main(url: str, key: str, image: Path) -> None:
    """Denoise a file."""
    client = AuthenticatedClient(base_url=url, token=key)
    sent = File(io.BytesIO(image.read_bytes()), file_name=image.name)
    uploaded = images_upload.sync(client=client, body=ImagesUploadFilesBody([sent]))
    assert isinstance(uploaded, Image), uploaded

    params = Params(patch_size=5)
    job = jobs_submit.sync(client=client, body=JobSpec(image_id=uploaded.id, params=params))
    assert isinstance(job, Job), job
    job = jobs_show.sync(job.id, client=client, wait=30)
    assert isinstance(job, Job), job
    assert job.state is State.SUCCEEDED, job

    result = results_result.sync(job.id, client=client, format_=ResultsResultFormatType0.NPY)
    assert isinstance(result, File), result
    assert result.payload.read(6) == b"\x93NUMPY"
    report = results_report.sync(job.id, client=client)
    assert not isinstance(report, ProblemBody | str | None)

    # No generator parses a stream of events; its bytes are there.
    assert b"event: succeeded" in jobs_events.sync_detailed(job.id, client=client).content

    problem = jobs_show.sync("0" * 32, client=client)
    assert isinstance(problem, ProblemBody), problem
    assert (problem.status, problem.code) == (404, "not_found")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
