"""The ledger, the truth about images, jobs, keys and workers, in a database.

May import `worker.contract` and `worker.settings`. Promises one writer at a time beside running
attempts, whose every write is fenced, and that jobs, and the events of each job, are visible in the
order of their numbers.
"""
