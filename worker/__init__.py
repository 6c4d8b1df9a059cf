"""Everything about running a job: ledger, store, dispatcher, worker."""
