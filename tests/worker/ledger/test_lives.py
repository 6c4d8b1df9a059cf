"""Whatever the order of calls on a job, the ledger keeps its promises."""

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
from worker.contract import Artifact, Failure, JobRequest, Stage, State
from worker.ledger.attempt import Attempt
from worker.ledger.backlog import Backlog
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs

MADE = [Artifact("result.npy", "0" * 64, 1)]


class Lives(RuleBasedStateMachine):
    """Any order of calls by owners, workers and dispatchers on one job."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database, self.jobs = database, Jobs(database)

    @initialize()
    def begin(self) -> None:
        image = add_image(self.database)
        self.id = self.jobs.submit(JobRequest(OWNER, image.id, {}))[0].id
        self.ended: object = None

    def attempt(self, back: int) -> Attempt:
        number = max(1, self.jobs.get(self.id).attempt - back)
        return Attempt(self.database, self.id, number, "worker")

    @rule(back=st.integers(0, 1), lease_s=st.sampled_from([-1.0, 60.0]))
    def claim(self, back: int, lease_s: float) -> None:
        self.attempt(back).claim(lease_s)

    @rule(back=st.integers(0, 1))
    def commit(self, back: int) -> None:
        was = self.jobs.get(self.id)
        made = self.attempt(back).commit(MADE, expires_in_s=60)
        assert made == (was.state is State.RUNNING and (back == 0 or was.attempt == 1))

    @rule(back=st.integers(0, 1))
    def fail(self, back: int) -> None:
        self.attempt(back).fail(Failure("internal", "x"))

    @rule(back=st.integers(0, 1))
    def write(self, back: int) -> None:
        self.attempt(back).enter(Stage.DENOISING)
        self.attempt(back).stack_done(1, 2, {})

    @rule(back=st.integers(0, 1))
    def hand_back(self, back: int) -> None:
        self.attempt(back).hand_back()

    @rule()
    def recover(self) -> None:
        Backlog(self.database).recover(3)

    @rule()
    def dispatch(self) -> None:
        Backlog(self.database).dispatch(Backlog(self.database).waiting(5))

    @rule()
    def cancel(self) -> None:
        self.jobs.cancel(self.id, owner=OWNER)

    @rule()
    def request_finish(self) -> None:
        self.jobs.request_finish(self.id, owner=OWNER)

    @invariant()
    def a_terminal_job_never_changes(self) -> None:
        now = (self.jobs.get(self.id), self.jobs.events(self.id))
        if self.ended is not None:
            assert now == self.ended
        elif now[0].state.terminal:
            self.ended = now

    @invariant()
    def artifacts_and_success_go_together(self) -> None:
        job = self.jobs.get(self.id)
        assert (job.state is State.SUCCEEDED) == bool(job.artifacts) == (job.expires_at is not None)
        assert (job.state is State.FAILED) == (job.failure is not None)
        assert job.state.terminal == (job.finished_at is not None)

    @invariant()
    def the_history_ends_as_the_job_stands(self) -> None:
        events, job = self.jobs.events(self.id), self.jobs.get(self.id)
        terminal = [event.type for event in events if State.__members__.get(event.type.name)]
        terminal = [t for t in terminal if State(t).terminal]
        assert terminal == ([job.state] if job.state.terminal else [])
        assert [event.id for event in events] == sorted(event.id for event in events)
        assert [event.attempt for event in events] == sorted(event.attempt for event in events)


def test_any_order_of_calls_keeps_the_promises(database: Database) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Lives(database),
        settings=settings(
            max_examples=12,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
