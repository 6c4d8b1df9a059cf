"""The short form: a worker loses each service once in each direction, at its worst moments."""

import pytest
from sqlalchemy import text

from tests.faults.cases import Case
from tests.partitions.cuts import Cut, submit_until_reached, try_cut
from tests.partitions.deployment import Deployment
from tests.partitions.network import Direction
from tests.support.waiting import until
from worker.contract import State

CUTS = [
    Cut("ledger", 12, Direction.INCOMING, "job.committing"),
    Cut("ledger", 12, Direction.OUTGOING, "job.sealed"),
    Cut("queue", 12, Direction.BOTH, "job.claimed"),
    Cut("store", 12, Direction.BOTH, "job.written"),
    Cut("ledger", 5, Direction.BOTH, "part.written"),
]


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: f"{cut.service}-{cut.stage}")
def test_a_worker_that_is_cut_off_costs_and_doubles_nothing(
    server: Deployment, images: list[Case], frames: list[Case], cut: Cut
) -> None:
    host = server.hosts[0]
    with server.client(CUTS.index(cut)) as client:
        tried = try_cut(server, host, cut, client, images, frames)
    assert tried.went_on, f"its process has ended; see {host.member.log}"
    assert server.check() == []
    if cut.service != "ledger":  # whoever has the ledger keeps the job
        assert [server.jobs.get(each.job_id).attempt for each in tried.jobs] == [1] * len(
            tried.jobs
        )


def test_a_lost_answer_to_commit_is_looked_up_and_the_job_not_made_twice(
    server: Deployment, images: list[Case]
) -> None:
    """The ledger has committed, the horse never hears of it, and must not wait for ever."""
    host = server.hosts[0]
    with server.client(20) as client, host.catcher.stopped_at("job.committing") as find:
        wanted = submit_until_reached(server, host, "job.committing", client, images)[-1]
        horse = find()
        with server.cut(host, "ledger", Direction.INCOMING):
            horse.resume()
            until(lambda: not horse.is_running(), "the horse has given up")
        assert server.await_back(host)
        client.follow(wanted)
        client.fetch(wanted)
    job = server.jobs.get(wanted.job_id)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert len(wanted.results) == 1
    assert server.check() == []


def test_the_ledger_lets_go_of_whoever_is_gone(server: Deployment) -> None:
    host = server.hosts[0]
    address = server.network.address(host.name)
    until(lambda: sessions_from(server, address), "the worker is connected")
    with server.cut(host, "ledger", Direction.BOTH):
        until(lambda: not sessions_from(server, address), "its sessions have ended")
    assert server.await_back(host)


def sessions_from(server: Deployment, address: str) -> int:
    with server.database.reading() as connection:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE host(client_addr) = :address")
        return int(connection.execute(query, {"address": address}).scalar_one())
