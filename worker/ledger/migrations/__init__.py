"""The ledger's schema, step by step, as alembic applies it.

`worker.ledger.database.migrate` does so at every start, all or nothing; the last step is the schema
of `worker.ledger.tables`.
"""
