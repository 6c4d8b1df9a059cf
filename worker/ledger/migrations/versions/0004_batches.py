"""Jobs of a batch, and the request each came with."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("batch", sa.String(200)))
    op.add_column("jobs", sa.Column("request_id", sa.String(64)))
    op.create_index("ix_jobs_batch", "jobs", ["owner", "batch"])
    op.create_index("ix_jobs_external_id", "jobs", ["owner", "external_id"])
