"""`reucid demo`: the bundled micrograph through a server of its own, from upload to pictures."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tifffile
import typer
from rich.console import Console
from rich.table import Table

from app.commands.outputs import make_folder, refuse_existing
from app.commands.progress import follow
from app.commands.remote import PARTS, connected, fetch_all
from reucid_client import Client, UnreachableError
from reucid_core.metrics import lattice_peak, psnr, whiteness

HERE = Path(__file__).parent
NOISY = HERE / "si110_low_dose.tif"  # simulated, see reucid_core/training/micrograph.py
TRUTH = HERE / "si110_truth.tif"
MADE = (*PARTS, "scree.png", "comparison.png")
PATIENCE = 60.0  # s to wait for the server to start, and to stop


class DemoError(Exception):
    """The demo did not do what it is there to show."""


def run(folder: Path, *, overwrite: bool = False) -> None:
    """Make everything in `folder`, print a table, leave nothing running."""
    make_folder(folder, "--output-dir")
    refuse_existing([folder / name for name in MADE], overwrite=overwrite)
    started = time.monotonic()
    with _server() as url, connected(url) as client:
        job = follow(client, client.submit(NOISY), NOISY.name)
        if job.state != "succeeded":
            raise DemoError(f"the job {job.state}: {job.error}")
        fetch_all(client, job, client.report(job.id), folder)
    seconds = time.monotonic() - started

    noisy, truth = tifffile.imread(NOISY), tifffile.imread(TRUTH)
    result = tifffile.imread(folder / "result.tif")
    report = json.loads((folder / "report.json").read_text())
    _draw(report, truth, noisy, result, folder)
    _print_table(report, seconds, noisy, truth, result)
    typer.echo(f"Look at {folder / 'comparison.png'}; everything else is beside it.")


@contextmanager
def _server() -> Iterator[str]:
    """A server on a free loopback port with data of its own; no process of it survives."""
    with tempfile.TemporaryDirectory(prefix="reucid-demo-") as data:
        command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", data]
        process = subprocess.Popen(  # noqa: S603  (ourselves)
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            yield _await_ready(process)
        finally:
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=PATIENCE)
            _, alive = psutil.wait_procs(family, timeout=5)
            if alive:
                raise DemoError(f"processes were left running: {alive}")
            if sys.exc_info()[0] is not None:
                sys.stderr.write(log)


def _await_ready(process: subprocess.Popen[str]) -> str:
    """The server's address, once it has a worker."""
    if process.stdout is None:
        raise DemoError("the server has no standard output")
    announcement = process.stdout.readline()
    address = [word for word in announcement.split() if word.startswith("http://")]
    if not address:
        raise DemoError("the server did not start")
    deadline = time.monotonic() + PATIENCE
    with Client(address[0]) as client:
        while not _is_ready(client):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"the server was not ready within {PATIENCE:g} s")
            time.sleep(0.1)
    return address[0]


def _is_ready(client: Client) -> bool:
    try:
        return client.ready()
    except UnreachableError:
        return False


def _draw(
    report: dict[str, Any],
    truth: np.ndarray[Any, Any],
    noisy: np.ndarray[Any, Any],
    result: np.ndarray[Any, Any],
    folder: Path,
) -> None:
    """Scree plot and images, with matplotlib: an optional extra."""
    from reucid_core.training.showing.charts import verdicts
    from reucid_core.training.showing.pictures import REACH, Panel, grey_scale, panels

    stacks = [
        (np.array(each["relative_singular_values"]), np.array(each["kept"]))
        for each in report["stack_reports"]
    ]
    title = f"Scree plot, method {report['method']}, patches of {report['patch_size']} px"
    verdicts(stacks, folder / "scree.png", title=title)
    scale = grey_scale(truth)
    residual = noisy.astype(np.float64) - result
    reach = REACH * float(residual.std())
    rows = [
        [Panel(truth, scale, "truth (simulated)"), Panel(noisy, scale, "noisy input")],
        [
            Panel(result, scale, "denoised"),
            Panel(residual, (-reach, reach), "noisy - denoised"),
        ],
    ]
    panels(rows, folder / "comparison.png")


def _print_table(
    report: dict[str, Any],
    seconds: float,
    noisy: np.ndarray[Any, Any],
    truth: np.ndarray[Any, Any],
    result: np.ndarray[Any, Any],
) -> None:
    residual = noisy - result
    white, peak = whiteness(residual), lattice_peak(residual, noisy)
    held = f", {peak.share:.1%} of the input's amplitude" if peak.stands_out else ""
    kept = ", ".join(str(sum(stack["kept"])) for stack in report["stack_reports"])
    before, after = psnr(noisy, truth), psnr(result, truth)
    table = Table(title="Simulated Si[110], low dose", show_header=False)
    rows = {
        "method": report["method"],
        "patch size": f"{report['patch_size']} px ({report['patch_size_origin']})",
        "eigenpatches kept / offered": f"{kept} / {report['components']}",
        "PSNR before -> after": f"{before:.2f} dB -> {after:.2f} dB",
        "residual white": f"{'yes' if white.is_white else 'no'} ({white.largest:.4f}, white noise "
        f"stays below {white.bound:.4f})",
        "lattice peak in residual": f"{'yes' if peak.stands_out else 'none'} ({peak.height:.1f}, "
        f"white noise stays below {peak.bound:.1f}){held}",
        "seconds of denoising": f"{sum(report['seconds'].values()):.2f}",
        "seconds in all": f"{seconds:.1f}, the server's start and stop included",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)
