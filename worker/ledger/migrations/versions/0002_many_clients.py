"""For many clients at once: indexes of a long queue, and space that uploads have been promised."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("ix_jobs_dispatched", "jobs", ["state", "dispatched_at"])
    op.create_index("ix_jobs_state_serial", "jobs", ["state", "serial"])
    op.create_index("ix_jobs_owner_state", "jobs", ["owner", "state", "serial"])
    op.create_table(
        "reservations",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reservations"),
    )
    op.create_index("ix_reservations_owner", "reservations", ["owner"])
