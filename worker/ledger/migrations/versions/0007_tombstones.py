"""Tombstones are found by their age, since they expire, too."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("ix_tombstones_expired_at", "tombstones", ["expired_at"])
