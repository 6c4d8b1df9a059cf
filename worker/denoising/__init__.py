"""One denoising, whoever runs it: parameters, classifier, the loop over frames, its files.

May import `worker.decoding` and what is below; knows no queue and no ledger. A result is written
whole or not at all.
"""
