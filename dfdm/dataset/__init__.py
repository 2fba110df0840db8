"""Encoded videos, sidecars, crops and the manifest."""
