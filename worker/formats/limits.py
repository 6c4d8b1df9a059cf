"""What a file may hold; the other limits are settings."""

MOST_SIGNALS = 64
MOST_FRAMES = 4096  # of one signal
