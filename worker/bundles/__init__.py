"""A denoising in one file that anyone can check: written, read with distrust, verified.

May import `worker.denoising` and what is below. Nothing in a bundle is believed before it was held
against something else.
"""
