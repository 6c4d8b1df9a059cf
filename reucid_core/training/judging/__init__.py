"""Classifiers, rules and what a user would pick instead, judged on crystals none of them saw.

May import `networks`, `labels` and `micrographs`.
"""
