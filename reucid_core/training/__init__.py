"""Where the classifier's weights come from: simulate, label, fit, evaluate.

Nothing here runs while an image is denoised. ``python -m reucid_core.training --help``.
"""
