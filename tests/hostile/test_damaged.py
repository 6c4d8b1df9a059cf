"""Valid files, cut short or with a few bytes changed.

`FUZZ=3000` (`make fuzz`) sends so many mutations of each format and prints what came of them.
"""

import asyncio
import os
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

from tests.hostile.cases import Case, Valid, mutations, truncations
from tests.hostile.collection import valid_files
from tests.hostile.service import MEMORY, SECONDS, Answer, Children, answers, serving

MUTATIONS = int(os.environ.get("FUZZ", "25"))  # of each format
SEED = int(os.environ.get("FUZZ_SEED", "1"))


@dataclass
class Damage:
    """What the server made of damaged files."""

    whole: dict[str, Answer]  # the valid files themselves
    cut: dict[str, Answer]
    mutated: dict[str, dict[str, Answer]]  # by format
    left: list[Path]
    peak: int

    def everything(self) -> Iterator[tuple[str, Answer]]:
        return chain(self.cut.items(), *(each.items() for each in self.mutated.values()))


@pytest.fixture(scope="module")
def damage(tmp_path_factory: pytest.TempPathFactory) -> Damage:
    damage = asyncio.run(_damage(tmp_path_factory.mktemp("damage"), valid_files()))
    if "FUZZ" in os.environ:
        print(table(damage))  # noqa: T201
    return damage


async def _damage(data: Path, valid: list[Valid]) -> Damage:
    with Children() as children:
        async with serving(data) as server:
            whole = await answers(server, [Case(each.format, each.content, "") for each in valid])
            cut = await answers(server, (case for each in valid for case in truncations(each)))
            mutated = {
                each.format: await answers(server, mutations(each, MUTATIONS, SEED))
                for each in valid
            }
            left = server.left()
    return Damage(whole, cut, mutated, left, children.peak)


def table(damage: Damage) -> str:
    """Figures, for a report."""
    lines = [
        f"{'format':<12}{'sent':>7}{'refused':>9}{'accepted':>9}{'median s':>10}{'slowest s':>10}"
    ]
    for name, told in (("cut short", damage.cut), *damage.mutated.items()):
        seconds = [answer.seconds for answer in told.values()]
        refused = sum(answer.refused for answer in told.values())
        accepted = sum(answer.accepted for answer in told.values())
        lines.append(
            f"{name:<12}{len(told):>7}{refused:>9}{accepted:>9}"
            f"{statistics.median(seconds):>10.3f}{max(seconds):>10.3f}"
        )
    codes = Counter(str(a.problem.get("code", "accepted")) for _, a in damage.everything())
    lines += [f"{code:<24}{count:>7}" for code, count in codes.most_common()]
    return "\n" + "\n".join([*lines, f"largest child: {damage.peak / 2**20:.0f} MiB"])


def test_the_valid_files_are_accepted(damage: Damage) -> None:
    assert {
        name: (a.status, a.body[:200]) for name, a in damage.whole.items() if not a.accepted
    } == {}


def test_what_is_cut_short_is_refused(damage: Damage) -> None:
    wrong = {name: a.status for name, a in damage.cut.items() if not a.refused}
    assert wrong == {}


def test_what_is_changed_is_refused_or_an_image(damage: Damage) -> None:
    wrong = {
        name: (answer.status, answer.body[:200])
        for name, answer in damage.everything()
        if not (answer.refused or answer.accepted)
    }
    assert wrong == {}


def test_reasons_are_given_in_time(damage: Damage) -> None:
    assert [name for name, answer in damage.everything() if answer.seconds > SECONDS] == []
    refused = [answer for _, answer in damage.everything() if answer.refused]
    assert {answer.media_type for answer in refused} == {"application/problem+json"}
    assert all(answer.problem["detail"] for answer in refused)


def test_no_child_grows_beyond_its_memory(damage: Damage) -> None:
    assert 0 < damage.peak < MEMORY


def test_nothing_is_left_in_the_store(damage: Damage) -> None:
    assert damage.left == []
