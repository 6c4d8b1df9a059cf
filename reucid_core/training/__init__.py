"""Where the classifier's weights come from: simulate, label, fit, judge, show.

May use files, torch and databases; nothing here runs while an image is denoised. `laboratory` is
what the commands call.
"""
