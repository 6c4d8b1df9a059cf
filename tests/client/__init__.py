"""The light Python client, against a real server."""
