"""Denoising while the microscope scans: frames on their way through Valkey, and the loop between.

May import the ledger and the core, but neither torch nor HTTP: the API puts frames in and takes
results out, the live worker does the rest. Nothing here is written to a disk: until a job is made
of its frames, a session lasts as long as Valkey does.
"""
