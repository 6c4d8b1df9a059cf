"""A denoising as electronic laboratory notebooks import it: an `.eln` file.

A zip with one folder that is an RO-Crate 1.1, in it one folder for the experiment, as the ELN
Consortium's file format has it: https://github.com/TheELNConsortium/TheELNFileFormat. It says what
the record of a bundle says; `reucid verify` checks bundles.
"""

import html
import io
import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worker.bundles.bundle import REGULAR_FILE, UNIX, digests
from worker.bundles.provenance import ACTION, RECORD, Entity, Run, record
from worker.denoising.reports import frame_reports
from worker.formats.metadata import microscope, operator
from worker.zips import CHUNK

MEDIA_TYPE = "application/vnd.eln+zip"
VERSION = "1.0"  # of the record's own, in the descriptor
EXPERIMENT = "./denoising/"
AUTHOR, MICROSCOPE, PUBLISHER = "#author", "#microscope", "#publisher"
LONGEST_NAME = 80


def write(
    path: Path, run: Run, files: Mapping[str, Path], sent: Mapping[str, Path], *, owner: str
) -> None:
    """Write an `.eln` file; the same run gives the same bytes.

    Parameters
    ----------
    path : Path
    run : Run
    files, sent : mapping of str to Path
        The files of the result and of the input by their names in a bundle.
    owner : str
        Whose job it was; the author where the image's file names none.
    """
    held = {**files, **sent}
    results, originals = digests(files), digests(sent)
    document = record(run, list(results.values()), list(originals.values()), with_input=True)
    graph = _as_experiment(document["@graph"], run, [*results, *originals], owner)
    text = json.dumps({"@context": document["@context"], "@graph": graph}, indent=1)
    root = f"{folder_of(run.input_name)}/"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, root + RECORD, io.BytesIO(text.encode()), len(text.encode()))
        for name, source in held.items():
            with source.open("rb") as content:
                _add(archive, root + EXPERIMENT[2:] + name, content, source.stat().st_size)


def folder_of(name: str) -> str:
    """The root folder: the name of the image, in letters that every system takes."""
    stem = name.rsplit(".", 1)[0]
    plain = "".join(each if each.isascii() and each.isalnum() else "-" for each in stem)
    return f"{plain.strip('-')[:LONGEST_NAME] or 'image'}-denoised"


def _add(archive: zipfile.ZipFile, name: str, content: Any, size: int) -> None:
    info = zipfile.ZipInfo(name)  # of 1980, as a bundle's
    info.create_system, info.external_attr, info.file_size = UNIX, REGULAR_FILE, size
    with archive.open(info, "w") as entry:
        shutil.copyfileobj(content, entry, CHUNK)


def _as_experiment(
    graph: Sequence[Entity], run: Run, names: Sequence[str], owner: str
) -> list[Entity]:
    """The record's graph, with the files in the experiment's folder."""
    moved = {name: {"@id": EXPERIMENT + name} for name in names}
    entities = {entity["@id"]: _moved(entity, moved) for entity in graph}
    descriptor, root, action = (entities[name] for name in (RECORD, "./", ACTION))
    descriptor |= {
        "version": VERSION,
        "dateCreated": root["datePublished"],
        "sdPublisher": {"@id": PUBLISHER},
    }
    experiment = {
        "@id": EXPERIMENT,
        "@type": "Dataset",
        "name": root["name"],
        "author": {"@id": AUTHOR},
        "dateCreated": action["startTime"],
        "dateModified": action["endTime"],
        "keywords": "electron microscopy, STEM, denoising, REUCID",
        "genre": "experiment",
        "text": _text(run, action["description"]),
        "hasPart": list(moved.values()),
        "mentions": {"@id": ACTION},
        "variableMeasured": [each for each in action["object"] if each["@id"].startswith("#")],
    }
    if run.job_id:
        experiment["identifier"] = run.job_id
    root["hasPart"] = [{"@id": EXPERIMENT}]
    own = [experiment, *_people(run, owner)]
    with_what = microscope(run.info.metadata)
    if with_what:
        own.append({"@id": MICROSCOPE, "@type": "Product", "name": with_what})
        experiment["instrument"] = {"@id": MICROSCOPE}
    return [*entities.values(), *own]


def _moved(value: Any, moved: Mapping[str, Entity]) -> Any:
    """An entity with its own name, and those of others in it, as they are in the folder."""
    if isinstance(value, Mapping):
        return {
            key: moved[each]["@id"] if key == "@id" and each in moved else _moved(each, moved)
            for key, each in value.items()
        }
    return [_moved(each, moved) for each in value] if isinstance(value, list) else value


def _people(run: Run, owner: str) -> list[Entity]:
    """Who took the image, else whose job it was; and which program wrote this."""
    person = operator(run.info.metadata)
    author = {"@type": "Person", "name": person} if person else _organization(owner)
    return [{"@id": AUTHOR} | author, {"@id": PUBLISHER} | _organization("REUCID")]


def _organization(name: str) -> Entity:
    return {"@type": "Organization", "name": name}


def _text(run: Run, summary: str) -> str:
    """What a notebook shows: HTML, as the format has it."""
    first = frame_reports(run.report)[0]
    assessment = first.get("assessment") or {}
    lines = [*assessment.get("sentences", ()), *first.get("warnings", ())]
    told = "".join(f"<li>{html.escape(line)}</li>" for line in dict.fromkeys(lines))
    return f"<p>{html.escape(summary)}.</p>" + (f"<ul>{told}</ul>" if told else "")
