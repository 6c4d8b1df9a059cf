"""Clients that are generated from the OpenAPI document, against a live server."""
