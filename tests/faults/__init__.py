"""What is promised of a job, while everything around it is broken on purpose.

`rig` runs a real server and breaks it, `history` are clients that note every question and answer,
`checker` compares their notes with ledger, store and the one right result of each case. The short
form is part of the tests; `make faults` (`python -m tests.faults`) is the long one.
"""
