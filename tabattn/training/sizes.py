"""Sizes that follow from the number of rows and columns."""

import math

MIN_STEPS, MAX_SMALL_BATCH = 16, 256
MIN_LARGE_STEPS, MAX_LARGE_BATCH = 512, 16_384
MIN_BATCH, MIN_FEW_STEPS, FEW_STEPS_BATCH = 32, 8, 64
MAX_ROWS_OF_ALL_GROUPS, MAX_COLUMNS_OF_ALL_GROUPS = 2_000, 128
MAX_ROWS_OF_GROUPS, MAX_COLUMNS_OF_GROUPS = 8_192, 1_000
N_MEMBERS, N_LARGE_TABLE_MEMBERS, N_LARGE_TABLE_GROUPS = 8, 4, 4


def auto_members(n_rows: int) -> int:
    """Choose the number of members of the encoder "class": 8, and 4 where all of them hold out the same rows anyway.

    Args:
        n_rows: Number of rows to fit.

    Example:
        >>> [auto_members(n_rows) for n_rows in (500, 50_000)]
        [8, 4]
    """
    return N_MEMBERS if n_rows <= MAX_ROWS_OF_GROUPS else N_LARGE_TABLE_MEMBERS


def auto_groups(n_members: int, n_rows: int, n_columns: int) -> int:
    """Choose how many groups of members have column tokens of their own.

    Groups hold out different rows: all rows are learned from, and all rows validate. That is worth its price where rows
    are few, and the more so the fewer. With one group all members share their tokens and hold out the same rows, up to
    2,048, which are enough to validate on where rows are many, and the tokens are computed once.

    Args:
        n_members: Number of members.
        n_rows: Number of rows to fit.
        n_columns: Number of columns that vary.

    Returns:
        A divisor of the number of members: all of them up to 2,000 rows and 128 columns, 4 (or the part of
        4 that divides them) up to 8,192 rows and 1,000 columns, else 1.

    Example:
        >>> [auto_groups(8, n_rows, 10) for n_rows in (500, 5_000, 50_000)]
        [8, 4, 1]
    """
    if n_rows > MAX_ROWS_OF_GROUPS or n_columns > MAX_COLUMNS_OF_GROUPS:
        return 1
    if n_rows <= MAX_ROWS_OF_ALL_GROUPS and n_columns <= MAX_COLUMNS_OF_ALL_GROUPS:
        return n_members
    return math.gcd(n_members, N_LARGE_TABLE_GROUPS)


def auto_batch_size(n_rows: int) -> int:
    """Choose the batch size: the largest power of two that leaves steps enough for an epoch to learn from.

    For batches of up to 64 rows 8 steps per epoch are enough, of up to 256 rows 16; larger batches, which a GPU needs
    to be busy, must leave 512.

    Args:
        n_rows: Number of training rows.

    Returns:
        The batch size.

    Example:
        >>> [auto_batch_size(n) for n in (100, 3_000, 1_000_000)]
        [32, 128, 1024]
    """
    smallest = min(_power_of_two(n_rows / MIN_FEW_STEPS), FEW_STEPS_BATCH)
    small = min(_power_of_two(n_rows / MIN_STEPS), MAX_SMALL_BATCH)
    large = min(_power_of_two(n_rows / MIN_LARGE_STEPS), MAX_LARGE_BATCH)
    return max(smallest, small, large, MIN_BATCH)


def _power_of_two(limit: float) -> int:
    """Return the largest power of two up to a limit, at least 1."""
    return 1 << int(math.log2(max(1.0, limit)))
