"""Fig. 2: eigenvalues fall, and do not say where to stop."""

from pathlib import Path

import numpy as np

from reucid_core.features import noise_level
from reucid_core.training.labels.examples import decompose_whole
from reucid_core.training.labels.oracle import Components, image_oracle
from reucid_core.training.micrographs.recipes import micrograph
from reucid_core.training.reproduction.denoisers import published
from reucid_core.training.reproduction.parts import Part, Row, Table
from reucid_core.training.reproduction.specimens import SILICON, recipe_of
from reucid_core.training.showing import charts

DOSE = 1000.0


def make(folder: Path) -> Part:
    """Eigenvalues of Si[110], what the network keeps of them, and what would have been best."""
    images = micrograph(recipe_of(SILICON, DOSE))
    result = published(images.noisy)
    (stack,) = result.report.stack_reports
    found = decompose_whole(images.noisy, result.report.patch_size)
    parts = Components.of(found, images.noisy)
    best = image_oracle(parts.error(images.specimen), parts.patch_oracle(images.specimen))
    kept = np.asarray(stack.kept)
    count = min(len(kept), len(best))
    charts.scree(found, kept[:count], best[:count], folder / "fig2.png", noise=noise_level(found))
    charts.eigenpatches(found, folder / "fig2-eigenpatches.png")
    values = found.relative_singular_values
    rows: list[Row] = [
        [k + 1, float(values[k]), float(values[k] ** 2), str(bool(kept[k])), str(bool(best[k]))]
        for k in range(count)
    ]
    head = ("eigenpatch", "singular value", "eigenvalue", "network keeps", "image oracle keeps")
    return Part(
        "fig2",
        "Fig. 2: the decreasing relevance of eigenpatches",
        "Eigenvalues over their rank, with eigenpatches; where to cut is ambiguous.",
        [
            f"Si[110] at {DOSE:g} e/A^2, patches of {result.report.patch_size} px; the SVD of all "
            "patches by their Gram matrix, not a randomised one.",
            "Known here, and not in the paper: which eigenpatches the truth would keep (image "
            "oracle). They are no leading run.",
        ],
        {
            "fig2.png": "Singular values relative to the first, and the verdicts on them.",
            "fig2-eigenpatches.png": "Eigenpatches by rank: structure first, then noise.",
        },
        [Table("fig2", "Eigenvalues and verdicts", head, rows, shown=False)],
    )
