import pytest

from tabattn.training.sizes import MAX_OWN_TOKEN_COLUMNS, MAX_OWN_TOKEN_ROWS, auto_batch_size, has_own_tokens


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("is_wide", [False, True])
def test_members_have_own_tokens_only_in_tables_that_are_neither_long_nor_wide(is_long: bool, is_wide: bool) -> None:
    assert has_own_tokens(MAX_OWN_TOKEN_ROWS + is_long, MAX_OWN_TOKEN_COLUMNS + is_wide) == (
        not is_long and not is_wide
    )


def test_batches_grow_with_the_table_and_are_powers_of_two() -> None:
    sizes = [auto_batch_size(n) for n in (1, 50, 1_000, 8_192, 10**5, 10**6, 10**8)]
    assert sizes == sorted(sizes)
    assert all(size & (size - 1) == 0 for size in sizes)
    assert (sizes[0], sizes[-1]) == (32, 16_384)
