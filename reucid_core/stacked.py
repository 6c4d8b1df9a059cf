"""Algorithm 1 of the paper, stack by stack (engine `stacked`)."""

import numpy as np

from reucid_core.canvas import Canvas
from reucid_core.decompose import decompose
from reucid_core.eigenpatches import FloatArray
from reucid_core.outcome import Outcome, Progress, Task
from reucid_core.patches import assign, gather
from reucid_core.plan import Plan, plan_stacked
from reucid_core.report import StackReport, StoppedBy


def denoise_stacked(noisy: FloatArray, task: Task) -> Outcome:
    """Denoise an image in random stacks of its patches.

    Parameters
    ----------
    noisy : ndarray, shape (m, n), float32 or float64
    task : Task
    """
    clock, params = task.clock, task.params
    plan = plan_stacked(noisy, params)
    clock.lap("psf")

    canvas, sketch_rng = prepare(noisy, plan.p, plan.stacks, params.seed)
    eigenpatches: list[FloatArray] = []
    verdicts: list[StackReport] = []
    stopped_by: StoppedBy | None = None
    for stack in range(1, plan.stacks + 1):
        origins = canvas.origins(stack)
        patches = gather(noisy, origins, plan.p)
        clock.lap("gather")
        decomposition = decompose(patches, plan.components, rng=sketch_rng)
        clock.lap("decompose")
        verdict = task.judge(decomposition, stack=stack)
        clock.lap("classify")
        canvas.fuse(patches, origins, decomposition.eigenpatches[verdict.kept])
        clock.lap("fuse")
        del patches  # before the next stack takes its place
        eigenpatches.append(decomposition.eigenpatches)
        verdicts.append(verdict)
        stopped_by = _stopped(canvas, verdict, plan, task)
        clock.lap("interim")
        if stopped_by:
            break

    coverage = canvas.coverage()
    image = canvas.image(coverage)
    clock.lap("terrain")
    partial = coverage if stopped_by else None
    return Outcome(plan, image, partial, eigenpatches, verdicts, stopped_by)


def prepare(
    noisy: FloatArray, p: int, stacks: int, seed: int
) -> tuple[Canvas, np.random.Generator]:
    """An empty canvas with every patch assigned to its stack, and what draws the test matrices."""
    assignment_rng, sketch_rng = np.random.default_rng(seed).spawn(2)
    return Canvas(noisy, assign(noisy.shape, p, stacks, assignment_rng), p), sketch_rng


def _stopped(canvas: Canvas, verdict: StackReport, plan: Plan, task: Task) -> StoppedBy | None:
    """Show the interim result; say who wants no further stack, if there is one to leave out."""
    stopped_by: StoppedBy | None = None
    deadline = task.params.deadline
    if deadline is not None and task.clock.elapsed >= deadline:
        stopped_by = "deadline"
    if task.on_stack is not None:
        coverage = canvas.coverage()
        progress = Progress(verdict.stack, plan.stacks, canvas.image(coverage), coverage, verdict)
        if task.on_stack(progress) is False:
            stopped_by = "request"
    return stopped_by if verdict.stack < plan.stacks else None
