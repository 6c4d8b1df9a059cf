"""Simulated micrographs whose truth is known: crystals, interfaces, dose, read noise, scan noise.

Imports nothing else of `reucid_core.training`. The same seed gives the same micrograph.
"""
