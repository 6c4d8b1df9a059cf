"""Telling other programs that a job has ended, by Standard Webhooks 1.0.

Imports the ledger, which holds the outbox, and nothing that denoises. It promises: what the outbox
holds is delivered at least once, in the order of a job, to an address that was checked when it was
connected to; no redirect is followed, and no answer is read.
"""
