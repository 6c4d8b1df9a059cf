"""Which classifier judges a job's eigenpatches."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """By what a job is judged; sent among its parameters.

    Parameters
    ----------
    model : str, optional
        Name of a classifier, as in `worker.denoising.model_files.Models`; one that is named makes
        method `auto` the paper's. By default the server's with method `paper`, and the rule of the
        noise floor with `two-scale`.
    """

    model: str | None = None
