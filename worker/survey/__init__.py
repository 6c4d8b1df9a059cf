"""A laboratory's own survey: micrographs out as choices, answers in as labels.

May import `worker.denoising` and what is below, and the labels of `reucid_core.training`. What was
exported is checked by its hashes before an answer counts.
"""
