"""What a file may hold; the other limits are settings."""

MOST_SIGNALS = 64
MOST_FRAMES = 4096  # of one signal
LARGEST_RATIO = 250  # bytes of pixels for each byte of a file, where they are more than:
FREELY_DECODED = 64 * 2**20  # bytes of pixels that any file may decode to
