"""Attention to scores, scores to a ranked table, the table against permutation importance."""
