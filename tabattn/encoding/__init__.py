"""Columns to the tensors that a model reads."""
