"""Which classifier judges a job's eigenpatches, and by which decision about scan noise."""

from dataclasses import dataclass
from typing import get_args

from reucid_core.errors import ParameterError
from reucid_core.params import ScanNoise


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """By what a job is judged; sent among its parameters.

    Parameters
    ----------
    model : str, optional
        Name of a classifier, as in `worker.denoising.model_files.Models`. By default the server's.
    scan_noise : {"keep", "remove"}
        Whether row offsets and row jitter are data or artefact. The paper leaves it to whoever
        knows the specimen.

    Raises
    ------
    ParameterError
    """

    model: str | None = None
    scan_noise: ScanNoise = "keep"

    def __post_init__(self) -> None:
        choices = get_args(ScanNoise)
        if self.scan_noise not in choices:
            raise ParameterError(
                "scan_noise", f"got {self.scan_noise!r}, expected one of {', '.join(choices)}"
            )
