"""A decoded file denoised, and everything written that is asked for."""

import json
from collections.abc import Callable

from reucid_core.eigenpatches import Classify
from worker.denoising.params import JobParams
from worker.denoising.run import Step
from worker.local.decoding import Decoded
from worker.local.denoising import Denoised, denoise, write_bundle
from worker.local.reading import write
from worker.local.targets import Form, Targets
from worker.store import write_atomic


def denoise_to(
    targets: Targets,
    form: Form,
    decoded: Decoded,
    params: JobParams,
    classify: Classify,
    on_step: Callable[[Step], None] = lambda _: None,
) -> Denoised:
    """Denoise a decoded file and write all that is asked for, each file whole, the result last."""

    def step(step: Step) -> None:
        if targets.interims is not None:
            write(targets.interims / f"interim-{step.n:04d}.tif", step.image, step.info)
        on_step(step)

    denoised = denoise(decoded, params, classify, step)
    if targets.bundle is not None:
        write_bundle(denoised, targets.bundle)
    if targets.report is not None:
        with write_atomic(targets.report) as temporary:
            temporary.write_text(json.dumps(denoised.report, indent=1))
    if targets.departures is not None:
        write(targets.departures, denoised.departures, denoised.info)
    if targets.residual is not None:
        write(targets.residual, denoised.residual, denoised.info, look=form.look)
    write(targets.result, denoised.image, denoised.info, source=form.source, look=form.look)
    return denoised
