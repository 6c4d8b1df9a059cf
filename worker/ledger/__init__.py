"""The ledger, the truth about images, jobs, keys and workers, in a database.

May import `worker.contract` and `worker.settings`. Promises one writer at a time, numbers that are
visible in their order, and that every write of a running attempt is fenced.
"""
