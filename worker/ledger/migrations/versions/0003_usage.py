"""What an image's files take, for quotas."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "images", sa.Column("stored", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    )
    op.execute("UPDATE images SET stored = 2 * size")  # a guess for those that are there
