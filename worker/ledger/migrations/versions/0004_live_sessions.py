"""Live sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ID = sa.String(32)
SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("serial", SERIAL, nullable=False, autoincrement=True),
        sa.Column("id", ID, nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("key_id", ID),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("memory", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("dispatch", sa.Integer, nullable=False),
        sa.Column("dispatched_at", sa.Float),
        sa.Column("worker", sa.String(64)),
        sa.Column("lease_until", sa.Float),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("touched_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("reason", sa.String(32)),
        sa.Column("account", sa.JSON, nullable=False),
        sa.Column("jobs", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("serial", name="pk_sessions"),
        sa.UniqueConstraint("id", name="uq_sessions_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sessions_state", "sessions", ["state", "serial"])
    op.create_index("ix_sessions_owner", "sessions", ["owner", "serial"])
