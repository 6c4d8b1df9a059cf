"""The REST API: who may ask for what, and the answers.

May import `app.http` and `worker`; knows no command. Every error leaves as a problem document, and
nothing is served that the ledger does not vouch for. Never loads torch, not even indirectly: jobs
are handed over by name. Nothing is imported here, so that `python -m app.api` is light for the
children that it starts.
"""
