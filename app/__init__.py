"""Everything about HTTP and the command line."""
