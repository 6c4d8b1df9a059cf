"""The page on which respondents choose: one file, no server, nothing from elsewhere."""

import json
from pathlib import Path
from typing import Any

from worker.survey.manifest import ImageEntry, Manifest, option_name, pictures

TEMPLATE = Path(__file__).with_name("page.html")
DATA = "/*SURVEY*/null"  # in the template


def html(manifest: Manifest) -> str:
    """The page of a survey, to lie beside its pictures."""
    images = [_image(n, each) for n, each in enumerate(manifest.images, start=1)]
    # Of the pictures' stretch: another survey of the same files keeps answers of its own.
    key = "-".join(each.decomposition_sha256[:8] for each in manifest.images)
    survey = {"key": f"reucid-survey-{key}-{manifest.seed}", "blind": manifest.blind}
    data = json.dumps(survey | {"images": images}, ensure_ascii=True).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace(DATA, data)


def _image(n: int, entry: ImageEntry) -> dict[str, Any]:
    folder = pictures(n).name
    return {
        "image": entry.image,
        "width": entry.shape[1],
        "height": entry.shape[0],
        "noisy": f"{folder}/noisy.png",
        "options": [
            {"alpha": alpha, "picture": f"{folder}/{option_name(position)}"}
            for position, alpha in enumerate(entry.order, start=1)
        ],
    }
