"""`python -m tests.partitions`: the long form, with a table of figures.

Several servers at once, each on hosts of its own (`tests.partitions.deployment`): all workers of a
server but one are cut off from ledger, queue and store, for a short and a long while, in each
direction, at every stage of a job. One more server has slow links. Then every promise is checked.
Exit status 1 when one was broken; where no namespaces can be made nothing is done, and it says why.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.__main__ import Report, _machine
from tests.partitions import network
from tests.partitions.cuts import SERVICES, STAGES, Cut, all_cuts
from tests.partitions.servers import Outcome, Row, cut_again_and_again, on_slow_links
from tests.support.buckets import NoS3Error
from tests.support.buckets import program as s3_program
from tests.support.postgres import NoPostgresError, binaries


def main() -> None:
    """Run everything, print figures, write them."""
    options = _options()
    try:
        network.check()
        binaries()
        s3_program()
    except (network.NoNetworkError, NoPostgresError, NoS3Error) as error:
        print(f"skipped: {error}")  # noqa: T201
        return
    report, begun = Report(), time.monotonic()
    report.say("machine", _machine())
    report.say("options", {name: str(value) for name, value in vars(options).items()})
    outcomes = _all_outcomes(options)
    report.broken += [line for each in outcomes for line in each.broken]
    _tell([row for each in outcomes for row in each.rows], options, report)
    report.say("load at the end", round(os.getloadavg()[0], 1))
    report.say("minutes", round((time.monotonic() - begun) / 60, 1))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report.figures | {"broken": report.broken}, indent=1))
    sys.exit(bool(report.broken))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.partitions", description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="*", default=[5, 60], help="of the cuts")
    parser.add_argument("--stages", nargs="*", default=list(STAGES), choices=STAGES)
    parser.add_argument("--services", nargs="*", default=list(SERVICES), choices=SERVICES)
    parser.add_argument("--deployments", type=int, default=2, help="servers at the same time")
    parser.add_argument("--workers", type=int, default=6, help="of a server; one is never cut off")
    parser.add_argument("--slow-jobs", type=int, default=60, help="on slow links")
    parser.add_argument("--delay", type=float, default=0.1, help="s each way on a slow link")
    parser.add_argument("--loss", type=float, default=0.05, help="share lost each way")
    parser.add_argument("--minutes", type=float, default=60.0, help="after which none begins")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("build/partitions.json"))
    return parser.parse_args()


def _all_outcomes(options: argparse.Namespace) -> list[Outcome]:
    """Of all servers, each a process with threads of its own."""
    wanted = [
        cut
        for cut in all_cuts(options.seconds, options.seed)
        if cut.stage in options.stages and cut.service in options.services
    ]
    number = options.deployments
    with ProcessPoolExecutor(number + 1, mp_context=get_context("spawn")) as pool:
        running = [
            pool.submit(cut_again_and_again, wanted[n::number], options, n)
            for n in range(number if wanted else 0)
        ]
        if options.slow_jobs:
            running.append(pool.submit(on_slow_links, options))
        return [each.result() for each in running]


def _tell(rows: list[Row], options: argparse.Namespace, report: Report) -> None:
    """A line for each service, length and direction, and one of the slow links."""
    for length in options.seconds:
        for service in options.services:
            for direction in network.Direction:
                kind = (length, service, direction)
                some = [row for row in rows if row.cut and _kind(row.cut) == kind]
                report.say(f"{service}, {length:g} s, {direction}", _figures(some))
    slow = [row for row in rows if row.cut is None]
    if slow:
        report.say("slow links", _figures(slow))
    cut_rows = [row for row in rows if row.cut]
    report.say("cuts", len(cut_rows))
    report.say("cuts at each stage", dict(Counter(row.cut.stage for row in cut_rows if row.cut)))
    report.say("jobs", sum(row.jobs for row in rows))
    report.say("lost, doubled", (sum(r.lost for r in rows), sum(r.doubled for r in rows)))
    report.say("broken promises", len(report.broken))
    for line in report.broken[:20]:
        print("   ", line[:400])  # noqa: T201


def _kind(cut: Cut) -> tuple[float, str, network.Direction]:
    return cut.seconds, cut.service, cut.direction


def _figures(rows: list[Row]) -> dict[str, Any]:
    ended = [seconds for row in rows for seconds in row.ended_s]
    return {
        "cuts": sum(row.cut is not None for row in rows),
        "jobs": sum(row.jobs for row in rows),
        "lost": sum(row.lost for row in rows),
        "doubled": sum(row.doubled for row in rows),
        "failed": sum(row.failed for row in rows),
        "made again": sum(row.again for row in rows),
        "s until the end, median, most": _spread(ended),
        "s until the worker was back, most": round(max((r.back_s for r in rows), default=0.0), 1),
    }


def _spread(seconds: list[float]) -> list[float]:
    return [round(float(np.percentile(seconds, p)), 1) for p in (50, 100)] if seconds else []


if __name__ == "__main__":
    main()
