"""The REST surface, one noun a file."""
