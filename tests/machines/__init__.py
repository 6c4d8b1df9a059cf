"""A server whose processes run where they like: what each promises by itself, and all together."""
