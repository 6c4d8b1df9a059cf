"""No file, whatever is in it, does more than be refused."""

from tests.hostile import npys
from tests.hostile.cases import SHAPE, Canary
from tests.hostile.collection import Outcome, snippets
from tests.hostile.service import MEMORY, SECONDS


def test_there_are_enough_of_them(outcome: Outcome) -> None:
    assert len(outcome.answers) >= 150
    assert sorted(outcome.names) == sorted([*outcome.answers, *outcome.tolerated])


def test_every_one_is_refused_with_a_reason(outcome: Outcome) -> None:
    wrong = {
        name: (answer.status, answer.body[:300])
        for name, answer in outcome.answers.items()
        if not answer.refused
        or answer.media_type != "application/problem+json"
        or len(answer.problem["detail"]) < 10
        or not answer.problem["code"].isidentifier()
    }
    assert wrong == {}


def test_a_valid_image_beside_is_all_that_is_accepted(outcome: Outcome) -> None:
    shapes = {
        name: [signal["shape"] for signal in answer.problem.get("signals", [])]
        for name, answer in outcome.tolerated.items()
        if not answer.refused
    }
    assert shapes == {name: [list(SHAPE)] for name in shapes}


def test_every_one_is_answered_in_time(outcome: Outcome) -> None:
    late = {name: a.seconds for name, a in outcome.answers.items() if a.seconds > SECONDS}
    assert late == {}


def test_no_child_grows_beyond_its_memory(outcome: Outcome) -> None:
    assert outcome.children > 100  # they were seen at all
    assert outcome.peak < MEMORY


def test_nothing_is_left_in_the_store(outcome: Outcome) -> None:
    assert outcome.left == []


def test_the_server_lives_on(outcome: Outcome) -> None:
    assert outcome.good.status == 201


def test_no_other_file_is_read(outcome: Outcome, planted: Canary) -> None:
    assert not outcome.betrayed
    secrets = snippets(planted)
    told = {
        name
        for name, answer in outcome.answers.items()
        if any(secret in answer.body for secret in secrets) or b"root:" in answer.body
    }
    assert told == set()


def test_nothing_is_unpickled(outcome: Outcome, planted: Canary) -> None:
    assert outcome.answers
    assert not npys.pickled(planted).exists()
