"""A store, whatever keeps its files."""
