"""Everything about running a job: ledger, formats, decoding, denoising, bundles, processes."""
