"""Whether a bundle is what it says: intact, the filter of its input, found again by a re-run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from worker.bundles.evidence import Evidence
from worker.bundles.integrity import check_checksums
from worker.bundles.recomputation import check_filter
from worker.bundles.rerun import check_rerun
from worker.bundles.verdicts import Refuted, Unverifiable, Verdict
from worker.formats import FormatError

LONGEST_REASON = 500  # characters


@dataclass(frozen=True)
class Verification:
    """What was found."""

    bundle: str
    checks: list[Verdict]

    @property
    def verified(self) -> bool:
        """Whether every claim was checked and holds."""
        return all(check.holds is True for check in self.checks)


CLAIMS = {
    "checksums": "every file is the one that was written, and the record says what the files say",
    "filter": "the result is what the kept eigenpatches make of the input",
    "rerun": "denoising the input once more gives the same verdicts and the same result",
}


def verify(path: Path, *, input_file: Path | None = None, rerun: bool = True) -> Verification:
    """Check a bundle's claims.

    Parameters
    ----------
    path : Path
    input_file : Path, optional
        The image that was denoised, when the bundle holds but its hash.
    rerun : bool
        Whether to denoise the input once more, which takes as long as it took.

    Raises
    ------
    ArchiveError
        When the file is no bundle.
    """
    with TemporaryDirectory(prefix="reucid-") as folder:
        evidence = Evidence(path, Path(folder), input_file)
        made = {"checksums": check_checksums, "filter": check_filter, "rerun": check_rerun}
        if not rerun:
            del made["rerun"]
        return Verification(path.name, [_run(name, each, evidence) for name, each in made.items()])


def verified_evidence(path: Path, folder: Path, input_file: Path | None) -> Evidence:
    """The contents of a bundle whose result is that of its input, for work that goes on from it.

    Raises
    ------
    ArchiveError
        When the file is no bundle.
    FormatError
        When a claim does not hold, or could not be checked.
    """
    evidence = Evidence(path, folder, input_file)
    for name, check in (("checksums", check_checksums), ("filter", check_filter)):
        found = _run(name, check, evidence)
        if not found.holds:
            said = "; ".join(found.problems)[:LONGEST_REASON]
            raise FormatError("unverified_bundle", f"{path.name} is not what it says: {said}")
    return evidence


def _run(name: str, check: Callable[[Evidence, Verdict], None], evidence: Evidence) -> Verdict:
    found = Verdict(name, CLAIMS[name])
    try:
        check(evidence, found)
        found.holds = not found.problems
    except Unverifiable as reason:
        found.problems.append(f"not checked: {reason}")
        found.holds = None
    except Refuted as reason:
        found.problems.append(str(reason))
        found.holds = False
    return found
