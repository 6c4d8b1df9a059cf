"""Classifiers, rules and what a user would pick instead, judged on crystals none of them saw.

May import `networks`, `labels` and `micrographs`. Whoever is judged gets the noisy image alone.
"""
