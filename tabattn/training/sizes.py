"""Sizes that follow from the number of rows and columns."""

import math

MIN_STEPS, MAX_SMALL_BATCH = 32, 256
MIN_LARGE_STEPS, MAX_LARGE_BATCH = 512, 16_384
MIN_BATCH = 32
MAX_OWN_TOKEN_ROWS, MAX_OWN_TOKEN_COLUMNS = 8_192, 1_000


def has_own_tokens(n_rows: int, n_columns: int) -> bool:
    """Choose whether every member gets its own column tokens, or all members share them.

    Members with their own tokens hold out different rows: all rows are learned from, and all rows validate. That is
    worth its price where rows are few. With shared tokens all members hold out the same rows, up to 2,048, which are
    enough to validate on where rows are many, and the tokens are computed once.

    Args:
        n_rows: Number of rows to fit.
        n_columns: Number of columns that vary.

    Returns:
        True up to 8,192 rows and 1,000 columns.
    """
    return n_rows <= MAX_OWN_TOKEN_ROWS and n_columns <= MAX_OWN_TOKEN_COLUMNS


def auto_batch_size(n_rows: int) -> int:
    """Choose the batch size: the largest power of two that leaves steps enough for an epoch to learn from.

    Up to 256 rows, 32 steps per epoch are enough; larger batches, which a GPU needs to be busy, must leave 512.

    Args:
        n_rows: Number of training rows.

    Returns:
        The batch size.

    Example:
        >>> [auto_batch_size(n) for n in (100, 3_000, 1_000_000)]
        [32, 64, 1024]
    """
    small = min(_power_of_two(n_rows / MIN_STEPS), MAX_SMALL_BATCH)
    large = min(_power_of_two(n_rows / MIN_LARGE_STEPS), MAX_LARGE_BATCH)
    return max(small, large, MIN_BATCH)


def _power_of_two(limit: float) -> int:
    """Return the largest power of two up to a limit, at least 1."""
    return 1 << int(math.log2(max(1.0, limit)))
