"""What came of it, as tables, charts and pages of pictures.

May import everything of training but `laboratory`; computes no figure that it shows.
"""
