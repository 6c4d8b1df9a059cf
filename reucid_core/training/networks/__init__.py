"""Data set, training, search and card of a classifier. May import `labels` and `micrographs`."""
