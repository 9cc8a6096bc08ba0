"""Checks of whether a ranking can be trusted: baselines, identifiers, leaks."""
