"""Attention to scores, scores to a ranked table, and its comparison with permutation importance."""
