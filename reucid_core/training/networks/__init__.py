"""Data set, training, search and card of a classifier.

May import `labels` and `micrographs`. The same data, options, seed and number of threads give the
same weights.
"""
