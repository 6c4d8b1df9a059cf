"""Who took an image, and with what, as its file says."""

from typing import Any

import pytest

from worker.formats.metadata import microscope, operator


@pytest.mark.parametrize(
    ("metadata", "who", "with_what"),
    [
        ({}, None, None),
        (
            {"ImageTags": {"Session Info": {"Operator": "A. Person", "Microscope": "Titan"}}},
            "A. Person",
            "Titan",
        ),
        (
            {
                "ImageTags": {
                    "Session Info": {"Operator": [], "Microscope": []},
                    "Microscope Info": {"Name": "Unknown"},
                }
            },
            None,
            None,
        ),
        (
            {
                "user": {"user_name": "  B.  Person ", "name": ""},
                "microscope": {"name": "TEAM 0.5"},
            },
            "B. Person",
            "TEAM 0.5",
        ),
        (
            {"ObjectInfo": {"ExperimentalDescription": {"User": "SUPERVISOR", "Microscope": "X"}}},
            "SUPERVISOR",
            "X",
        ),
        (
            {"Instrument": {"InstrumentClass": "Talos", "Manufacturer": "FEI Company"}},
            None,
            "Talos",
        ),
        ({"operator": 7}, None, None),
    ],
)
def test_names_are_found_where_programs_write_them(
    metadata: dict[str, Any], who: str | None, with_what: str | None
) -> None:
    assert (operator(metadata), microscope(metadata)) == (who, with_what)
