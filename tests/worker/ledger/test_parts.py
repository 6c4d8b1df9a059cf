"""Parts of jobs: whoever does them, each is done by one, and nobody's work is lost by others'."""

from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.support.lattices import OWNER, add_image
from worker.contract import Artifact, JobRequest, PartRecord, PartState, Priority, State, Work
from worker.ledger.attempt import Attempt
from worker.ledger.backlog import Backlog
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.ledger.parts import MOST_LOST, Doing, Help, Parts

MADE = [Artifact("result.npy", "0" * 64, 1)]
RANGES = [(0, 4), (4, 8), (8, 10)]
LEASE = 60.0


def spread(
    database: Database, owner: str = OWNER, priority: Priority = Priority.INTERACTIVE
) -> Attempt:
    """A running job in three parts."""
    image = add_image(database, owner=owner)
    job, _ = Jobs(database).submit(JobRequest(owner, image.id, {}, priority))
    attempt = Attempt(database, job.id, 1, f"worker of {job.id}")
    assert attempt.claim(LEASE)
    assert Parts(database).spread(attempt, Work.FRAMES, RANGES, 10)
    return attempt


def parts_of(attempt: Attempt) -> list[PartRecord]:
    return Parts(attempt.database).of_job(attempt.job_id, Work.FRAMES)


def do(database: Database, part: PartRecord | None) -> bool:
    assert part is not None
    return Doing(database, part).commit(MADE, part.stop - part.first)


class Hands(RuleBasedStateMachine):
    """Any order of calls by a job's own worker, helpers, owners and dispatchers."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database, self.parts = database, Parts(database)

    @initialize()
    def begin(self) -> None:
        self.id = spread(self.database).job_id
        self.held: list[PartRecord] = []  # by anybody, at any time
        self.ended: object = None

    def attempt(self, back: int = 0) -> Attempt:
        number = max(1, Jobs(self.database).get(self.id).attempt - back)
        return Attempt(self.database, self.id, number, f"worker of {self.id}")

    @rule(back=st.integers(0, 1), lease_s=st.sampled_from([-1.0, LEASE]))
    def claim_job(self, back: int, lease_s: float) -> None:
        attempt = self.attempt(back)
        if attempt.claim(lease_s):
            assert self.parts.spread(attempt, Work.FRAMES, [(0, 10)], 10)

    @rule(back=st.integers(0, 1), lease_s=st.sampled_from([-1.0, LEASE]))
    def take(self, back: int, lease_s: float) -> None:
        self.hold(self.parts.take(self.attempt(back), Work.FRAMES, lease_s))

    @rule(n=st.integers(0, 1), lease_s=st.sampled_from([-1.0, LEASE]), again=st.booleans())
    def help(self, n: int, lease_s: float, *, again: bool) -> None:
        self.hold(self.parts.help(self.id, f"helper {n}", lease_s, again=again))

    def hold(self, part: PartRecord | None) -> None:
        if part is None:
            return
        assert part.state is PartState.RUNNING
        assert not any((part.id, part.attempt) == (each.id, each.attempt) for each in self.held)
        self.held.append(part)

    @rule(data=st.data(), how=st.sampled_from(["commit", "progress", "leave", "again"]))
    def write(self, data: st.DataObject, how: str) -> None:
        if not self.held:
            return
        part = data.draw(st.sampled_from(self.held))
        now = next(each for each in self.all() if each.id == part.id)
        job = Jobs(self.database).get(self.id)
        mine = (now.attempt, now.state) == (part.attempt, PartState.RUNNING)
        doing = Doing(self.database, part)
        if how == "again":
            self.parts.again(part)
            return
        wrote = {
            "commit": lambda: doing.commit(MADE, part.stop - part.first),
            "progress": lambda: doing.progress(1),
            "leave": doing.leave,
        }[how]()
        assert wrote == (mine and not job.state.terminal)

    @rule(n=st.integers(0, 1), lost=st.booleans())
    def release(self, n: int, *, lost: bool) -> None:
        Help(self.database, self.id, f"helper {n}").release(lost=lost)

    @rule(n=st.integers(0, 1))
    def renew(self, n: int) -> None:
        useful = Help(self.database, self.id, f"helper {n}").renew(LEASE)
        assert useful != Jobs(self.database).get(self.id).state.terminal

    @rule()
    def recover(self) -> None:
        Backlog(self.database).recover(5)
        self.parts.recover()

    @rule()
    def hand_back(self) -> None:
        self.attempt().hand_back()

    @rule()
    def cancel(self) -> None:
        Jobs(self.database).cancel(self.id, owner=OWNER)

    @rule()
    def request_finish(self) -> None:
        Jobs(self.database).request_finish(self.id, owner=OWNER)

    def all(self) -> list[PartRecord]:
        return self.parts.of_job(self.id, Work.FRAMES)

    @invariant()
    def the_parts_are_all_frames_and_stay_so(self) -> None:
        assert [(each.first, each.stop) for each in self.all()] == RANGES

    @invariant()
    def files_and_done_go_together(self) -> None:
        for each in self.all():
            assert bool(each.artifacts) == (each.state is PartState.DONE)
            assert (each.worker is not None) == (each.state is not PartState.OPEN)

    @invariant()
    def a_running_job_counts_the_frames_of_its_parts(self) -> None:
        job = Jobs(self.database).get(self.id)
        if job.state is State.RUNNING:
            assert (job.stacks_done, job.stacks) == (sum(p.frames_done for p in self.all()), 10)

    @invariant()
    def nothing_of_a_terminal_job_is_done_any_more(self) -> None:
        if not Jobs(self.database).get(self.id).state.terminal:
            return
        done = {each.id for each in self.all() if each.state is PartState.DONE}
        if self.ended is not None:
            assert isinstance(self.ended, set)
            assert done <= self.ended
        self.ended = done
        assert self.parts.help(self.id, "late", LEASE) is None


def test_any_order_of_calls_keeps_the_promises(database: Database) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Hands(database),
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_who_has_lost_its_part_changes_nothing(database: Database) -> None:
    attempt, parts = spread(database), Parts(database)
    late = parts.help(attempt.job_id, "late", -1.0)
    assert late is not None
    assert parts.recover() == 1
    again = parts.help(attempt.job_id, "other", LEASE)
    assert again is not None
    assert (again.id, again.attempt) == (late.id, 2)
    assert not Doing(database, late).progress(1)
    assert not Doing(database, late).commit(MADE, 4)
    assert do(database, again)
    assert parts_of(attempt)[0].worker == "other"


def test_a_worker_that_takes_its_part_again_does_so_in_another_attempt(
    database: Database,
) -> None:
    attempt, parts = spread(database), Parts(database)
    first = parts.help(attempt.job_id, "helper", -1.0)
    assert first is not None
    assert parts.recover() == 1
    second = parts.help(attempt.job_id, "helper", LEASE)
    assert second is not None
    assert second.id == first.id
    doing = Doing(database, first)
    assert not any([doing.progress(1), doing.leave(), doing.commit(MADE, 4)])
    assert parts_of(attempt)[0].state is PartState.RUNNING
    assert do(database, second)


def test_nothing_is_written_of_a_job_that_has_ended(database: Database) -> None:
    attempt, parts = spread(database), Parts(database)
    own = parts.take(attempt, Work.FRAMES, LEASE)
    helped = parts.help(attempt.job_id, "helper", LEASE)
    assert own is not None
    assert helped is not None
    Jobs(database).cancel(attempt.job_id, owner=OWNER)
    before = [(each.state, each.frames_done) for each in parts_of(attempt)]
    for each in (own, helped):
        doing = Doing(database, each)
        assert not any([doing.progress(1), doing.leave(), doing.commit(MADE, 4)])
    assert [(each.state, each.frames_done) for each in parts_of(attempt)] == before
    assert parts.take(attempt, Work.FRAMES, LEASE) is None
    assert parts.help(attempt.job_id, "another", LEASE) is None
    assert not Help(database, attempt.job_id, "helper").renew(LEASE)


def test_only_the_current_attempt_of_a_job_takes_its_parts(database: Database) -> None:
    attempt, parts = spread(database), Parts(database)
    assert attempt.hand_back()
    assert parts.take(attempt, Work.FRAMES, LEASE) is None
    assert not parts.spread(attempt, Work.FRAMES, RANGES, 10)


def test_what_is_made_of_parts_counts_for_its_owner_until_it_is_gone(database: Database) -> None:
    attempt, parts, jobs = spread(database), Parts(database), Jobs(database)
    before = jobs.used(OWNER)
    brief = Artifact("brief.npz", "1" * 64, 100)
    assert parts.spread(attempt, Work.FIRST_SUMS, RANGES, 10, (uuid4().hex, brief))
    part = parts.take(attempt, Work.FRAMES, LEASE)
    assert part is not None
    assert Doing(database, part).commit([*MADE, Artifact("coverage.npy", "0" * 64, 7)], 4)
    assert jobs.used(OWNER) == before + 100 + 1 + 7
    assert jobs.used("another") == 0
    for part_id in parts.all_of_job(attempt.job_id):
        parts.forget(part_id)
    assert jobs.used(OWNER) == before


def test_how_many_parts_want_other_workers(database: Database) -> None:
    attempt, parts = spread(database), Parts(database)
    assert parts.for_others() == 3
    own = parts.take(attempt, Work.FRAMES, LEASE)
    assert parts.for_others() == 2
    helped = parts.help(attempt.job_id, "helper", LEASE)
    assert helped is not None
    assert parts.for_others() == 2  # one of them has a worker
    assert do(database, own)
    assert Doing(database, helped).leave(to_job=True)
    assert parts.for_others() == 1
    Jobs(database).request_finish(attempt.job_id, owner=OWNER)
    assert parts.for_others() == 0
    assert spread(database, "another").job_id
    assert parts.for_others() == 3
    Jobs(database).cancel(attempt.job_id, owner=OWNER)
    assert parts.for_others() == 3


def test_what_was_done_by_another_brief_is_done_anew(database: Database) -> None:
    attempt, parts = spread(database), Parts(database)
    told = Artifact("brief.npz", "1" * 64, 1)
    for brief, kept in ((told, False), (told, True), (Artifact("brief.npz", "2" * 64, 1), False)):
        assert parts.spread(attempt, Work.FIRST_SUMS, RANGES, 10, (uuid4().hex, brief))
        states = [each.state for each in parts.of_job(attempt.job_id, Work.FIRST_SUMS)]
        assert states == [PartState.DONE if kept else PartState.OPEN, "open", "open"]
        held = parts.brief(attempt.job_id, Work.FIRST_SUMS)
        assert held is not None
        assert held.artifacts == (brief,)
        if not kept:
            assert do(database, parts.take(attempt, Work.FIRST_SUMS, LEASE))
    assert len(parts.all_of_job(attempt.job_id)) == len(RANGES) * 2 + 1
    assert Jobs(database).get(attempt.job_id).stacks_done == 0


def test_a_job_that_is_lost_keeps_what_is_done_and_what_others_do(database: Database) -> None:
    attempt, parts = spread(database), Parts(database)
    done = parts.take(attempt, Work.FRAMES, LEASE)
    assert do(database, done)
    doing = parts.help(attempt.job_id, "helper", LEASE)
    own = parts.take(attempt, Work.FRAMES, LEASE)
    assert doing is not None
    assert own is not None
    assert Backlog(database).lose(attempt.job_id, attempt.worker, 3)
    assert not do(database, own)
    assert do(database, doing)
    next_one = Attempt(database, attempt.job_id, 2, "next")
    job = next_one.claim(LEASE)
    assert job is not None
    assert parts.spread(next_one, Work.FRAMES, [(0, 10)], 10)
    assert Jobs(database).get(attempt.job_id).stacks_done == 8
    assert [each.state for each in parts_of(attempt)] == ["done", "done", "open"]
    assert parts.take(attempt, Work.FRAMES, LEASE) is None
    last = parts.take(next_one, Work.FRAMES, LEASE)
    assert do(database, last)


def test_a_part_that_a_worker_left_is_open_when_it_claims_a_job(database: Database) -> None:
    helped = spread(database)
    part = Parts(database).help(helped.job_id, "w", LEASE)
    assert part is not None  # and the ledger was away when its process ended
    job, _ = Jobs(database).submit(JobRequest(OWNER, add_image(database).id, {}))
    again = Attempt(database, job.id, 1, "w")
    assert again.claim(LEASE)
    assert again.renew(LEASE)
    assert all(each.state is PartState.OPEN for each in parts_of(helped))
    assert not do(database, part)


def test_a_lease_of_a_job_renews_that_of_its_part(database: Database) -> None:
    attempt, parts = spread(database), Parts(database)
    part = parts.take(attempt, Work.FRAMES, -1.0)
    assert attempt.renew(LEASE)
    assert parts.recover() == 0
    assert do(database, part)


def test_parts_wait_for_jobs_of_their_priority_or_a_higher_one(database: Database) -> None:
    parts, jobs = Parts(database), Jobs(database)
    batch = spread(database, "a", Priority.BATCH)
    interactive = spread(database, "b")

    def helped() -> set[str]:
        return {each.job_id for each in parts.open_to_help(9)}

    assert helped() == {batch.job_id, interactive.job_id}
    image = add_image(database, owner="c")
    waiting, _ = jobs.submit(JobRequest("c", image.id, {}, Priority.BATCH))
    assert helped() == {interactive.job_id}
    assert parts.help(batch.job_id, "helper", LEASE) is None
    urgent, _ = jobs.submit(JobRequest("c", image.id, {}))
    assert helped() == set()
    assert parts.help(interactive.job_id, "helper", LEASE) is None
    for job in (waiting, urgent):
        jobs.cancel(job.id, owner="c")
    assert helped() == {batch.job_id, interactive.job_id}


def test_owners_are_helped_in_turn(database: Database) -> None:
    greedy = [spread(database, "greedy") for _ in range(3)]
    modest = spread(database, "modest")
    parts, helped = Parts(database), []
    for n in range(6):
        (first, *_) = parts.open_to_help(1)
        part = parts.help(first.job_id, f"helper {n}", LEASE)
        assert part is not None
        helped.append("modest" if part.job_id == modest.job_id else "greedy")
    assert helped.count("modest") == 3
    assert {each.job_id for each in parts.open_to_help(9)} <= {each.job_id for each in greedy}


def test_a_helper_goes_on_only_where_help_is_due(database: Database) -> None:
    first, second = spread(database, "a"), spread(database, "b")
    parts = Parts(database)
    parts.help(first.job_id, "another", LEASE)
    part = parts.help(first.job_id, "helper", LEASE)
    assert do(database, part)
    assert parts.help(first.job_id, "helper", LEASE, again=True) is None
    assert parts.help(second.job_id, "helper", LEASE, again=True) is not None


@pytest.mark.parametrize("to_job", [True, False])
def test_what_helpers_do_not_end_is_left_to_the_job(database: Database, *, to_job: bool) -> None:
    attempt, parts = spread(database), Parts(database)
    for _ in range(1 if to_job else MOST_LOST):
        part = parts.help(attempt.job_id, "helper", LEASE)
        assert part is not None
        assert part.number == 0
        if to_job:
            Doing(database, part).leave(to_job=True)
        else:
            Help(database, attempt.job_id, "helper").release(lost=True)
    helped = parts.help(attempt.job_id, "helper", LEASE)
    assert helped is not None
    assert helped.number == 1
    own = parts.take(attempt, Work.FRAMES, LEASE)
    assert own is not None
    assert own.number == 0


def test_a_worker_that_is_told_to_stop_costs_a_part_nothing(database: Database) -> None:
    attempt, parts = spread(database), Parts(database)
    for _ in range(MOST_LOST + 1):
        assert parts.help(attempt.job_id, "helper", LEASE) is not None
        assert Help(database, attempt.job_id, "helper").release(lost=False)
    part = parts.help(attempt.job_id, "helper", LEASE)
    assert part is not None
    assert part.number == 0


def test_the_parts_of_an_ended_job_remain_to_be_removed(database: Database) -> None:
    attempt, parts = spread(database), Parts(database)
    assert parts.remains(9) == []
    Jobs(database).cancel(attempt.job_id, owner=OWNER)
    remains = parts.remains(9)
    assert set(remains) == {each.id for each in parts_of(attempt)}
    for part_id in remains:
        parts.forget(part_id)
    assert parts_of(attempt) == []


def test_deleting_a_job_deletes_its_parts(database: Database) -> None:
    attempt = spread(database)
    Jobs(database).cancel(attempt.job_id, owner=OWNER)
    Jobs(database).delete(attempt.job_id, owner=OWNER)
    assert parts_of(attempt) == []


def test_leases_that_reach_too_far_are_cut(database: Database) -> None:
    attempt, parts = spread(database), Parts(database)
    parts.help(attempt.job_id, "helper", 1e6)
    assert parts.shorten(LEASE) == 1
    assert parts.shorten(LEASE) == 0
    assert parts.busy() == 2
