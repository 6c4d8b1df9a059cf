"""What expires, and what remains of it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    zero, false = sa.text("0"), sa.false()
    op.add_column("images", sa.Column("used_at", sa.Float, nullable=False, server_default=zero))
    op.add_column("images", sa.Column("expired_at", sa.Float))
    op.add_column("images", sa.Column("purged", sa.Boolean, nullable=False, server_default=false))
    op.execute("UPDATE images SET used_at = created_at")
    op.create_table(
        "tombstones",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("expired_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tombstones"),
    )
