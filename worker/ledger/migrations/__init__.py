"""The ledger's schema, step by step, as alembic applies it (`worker.ledger.database.migrate`)."""
