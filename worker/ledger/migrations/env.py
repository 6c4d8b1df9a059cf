"""Alembic's entry: runs the migrations on the connection it is given."""

from alembic import context

from worker.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
