"""Which eigenpatches are worth keeping: by a known truth, by a metric, by people's answers.

May import `micrographs`. A label belongs to an eigenpatch of one decomposition, never to a pixel.
"""
