"""Indexes by which a queue of tens of thousands costs what a short one does."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("ix_jobs_dispatched", "jobs", ["state", "dispatched_at"])
    op.create_index("ix_jobs_state_serial", "jobs", ["state", "serial"])
    op.create_index("ix_jobs_owner_state", "jobs", ["owner", "state", "serial"])
