"""What can go wrong, by whose fault it is.

::

    ReucidError
    |-- ParameterError      a parameter is out of its range (also a ValueError)
    |-- ImageError          the image cannot be denoised (also a ValueError)
    |-- MemoryBudgetError   the image does not fit into the memory it may use
    |-- ModelError          the classifier's weights cannot be used
    `-- SurveyError         a survey's files or answers cannot be used

Each class has a stable `code` for programs; the message is for people.
"""


class ReucidError(Exception):
    """Base of every error this package raises on purpose."""

    code = "reucid_error"


class ParameterError(ReucidError, ValueError):
    """A parameter is out of its range.

    Parameters
    ----------
    field : str
        Name of the parameter, as in `DenoiseParams`.
    message : str
        What was got and what is expected.
    """

    code = "invalid_parameter"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.reason = message


class ImageError(ReucidError, ValueError):
    """The image cannot be denoised: not 2-D, not real, not finite or too small."""

    code = "invalid_image"


class MemoryBudgetError(ReucidError):
    """The image does not fit into the memory that may be used."""

    code = "memory_budget"


class ModelError(ReucidError):
    """The classifier's weights are missing, damaged or of another architecture."""

    code = "invalid_model"


class SurveyError(ReucidError):
    """A survey's files or answers are missing, damaged or do not belong together."""

    code = "invalid_survey"
