"""Fitted models, in memory and in files."""
