"""Which eigenpatches are worth keeping: by a known truth, by a metric, by people's answers.

May import `micrographs`.
"""
