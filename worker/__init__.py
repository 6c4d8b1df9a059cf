"""Everything about running a job: ledger, formats, decoding, denoising, bundles, processes.

May import `reucid_core`; knows nothing of HTTP. What processes say to each other is in `contract`,
the environment is read in `settings` alone, paths are made in `store` alone.
"""
