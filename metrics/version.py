"""The version of the scoring rules."""

METRIC_VERSION = 1
"""Counts changes of the scoring rules; scores of different versions are not to be compared."""
