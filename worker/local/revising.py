"""The result of a bundle with a person's verdicts, made anew without a server."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from worker.bundles.evidence import Evidence
from worker.bundles.integrity import recorded_inputs
from worker.bundles.provenance import ACTION
from worker.bundles.verification import verified_evidence
from worker.contract import FileInfo
from worker.denoising.artifacts import RESULT
from worker.denoising.params import JobParams
from worker.denoising.revising import revise_signal
from worker.denoising.revision import Revision
from worker.local.decoding import Decoded
from worker.local.denoising import Denoised, write_bundle
from worker.store import sha256_of


def revise_bundle(
    path: Path,
    revision: Revision,
    *,
    input_file: Path | None = None,
    bundle_at: Path | None = None,
) -> Denoised:
    """The result of a bundle with a person's verdicts, once the bundle is known to be what it says.

    Parameters
    ----------
    path : Path
    revision : Revision
        Of the job that the bundle names, if it names one, whatever is said here.
    input_file : Path, optional
        The image that was denoised, when the bundle holds but its hash.
    bundle_at : Path, optional
        Where to write the bundle of the new result; with the input if the old one has it.

    Raises
    ------
    ArchiveError
        When the file is no bundle.
    FormatError
        When it is not what it says, or that cannot be checked.
    ParameterError
        When there is no such eigenpatch, or none of a stack would be left.
    """
    with TemporaryDirectory(prefix="reucid-") as name:
        folder = Path(name)
        evidence = verified_evidence(path, folder, input_file)
        made = folder / "revised"
        made.mkdir()
        revised = _revised(evidence, revision, made)
        if bundle_at is not None:
            write_bundle(
                revised,
                bundle_at,
                with_input=evidence.stated_input is None,
                input_name=str(recorded_inputs(evidence.record)[0]["name"]),
            )
        return revised


def _revised(evidence: Evidence, revision: Revision, folder: Path) -> Denoised:
    started_at = time.time()
    of = evidence.record[ACTION].get("identifier")
    given = JobParams.from_json(evidence.told.parameters)
    params = replace(given, revision=replace(revision, of=None if of is None else str(of)))
    signal, chosen = evidence.signal
    inputs = {each: sha256_of(each) for each in evidence.inputs}
    report = revise_signal(
        signal, chosen, params, folder, source=evidence.source, on_step=lambda _: None
    )
    contents = FileInfo(chosen.info.format, (chosen.info,))
    return Denoised(
        decoded=Decoded(next(iter(inputs)), folder, contents, inputs),
        noisy=np.array(chosen.pixels_of(signal)),
        image=np.load(folder / RESULT),
        info=chosen.info,
        report=report,
        started_at=started_at,
        finished_at=time.time(),
    )
