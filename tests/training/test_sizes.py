import pytest

from tabattn.training.sizes import (
    MAX_COLUMNS_OF_ALL_GROUPS,
    MAX_COLUMNS_OF_GROUPS,
    MAX_ROWS_OF_ALL_GROUPS,
    MAX_ROWS_OF_GROUPS,
    auto_batch_size,
    auto_groups,
)


@pytest.mark.parametrize("n_members", [1, 2, 3, 6, 8, 16])
@pytest.mark.parametrize("n_rows", [20, MAX_ROWS_OF_ALL_GROUPS + 1, MAX_ROWS_OF_GROUPS + 1])
@pytest.mark.parametrize("n_columns", [3, MAX_COLUMNS_OF_ALL_GROUPS + 1, MAX_COLUMNS_OF_GROUPS + 1])
def test_groups_are_fewer_in_larger_tables_and_divide_the_members(n_members: int, n_rows: int, n_columns: int) -> None:
    n_groups = auto_groups(n_members, n_rows, n_columns)
    assert n_members % n_groups == 0
    is_small, is_large = n_rows == 20 and n_columns == 3, n_rows > MAX_ROWS_OF_GROUPS or n_columns > 1_000
    assert n_groups == (n_members if is_small else 1 if is_large else min(n_groups, 4))
    assert auto_groups(n_members, n_rows + 1, n_columns + 1) <= n_groups


def test_batches_grow_with_the_table_and_are_powers_of_two() -> None:
    sizes = [auto_batch_size(n) for n in (1, 50, 1_000, 8_192, 10**5, 10**6, 10**8)]
    assert sizes == sorted(sizes)
    assert all(size & (size - 1) == 0 for size in sizes)
    assert (sizes[0], sizes[-1]) == (32, 16_384)
