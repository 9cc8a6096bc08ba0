import pytest
import torch

from tabattn.nn.attention import ColumnSwaps, attention_weights, read_columns, read_swapped
from tabattn.nn.encoder import ClassAttentionEncoder, normalize
from tabattn.nn.expansion import expand, read_swapped_nearly

N_ROWS, N_STREAMS, N_COLUMNS, D = 5, 6, 40, 12
UNITS = [[3], [0, 7, 8], [39]]


def swaps_of(units: list[list[int]]) -> ColumnSwaps:
    columns, numbers = torch.tensor([(column, number) for number, unit in enumerate(units) for column in unit]).T
    return ColumnSwaps(columns, numbers, len(units))


def drawn(*shape: int, seed: int) -> torch.Tensor:
    values: torch.Tensor = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values


@pytest.fixture(name="query")
def drawn_query() -> torch.Tensor:
    return drawn(N_ROWS, N_STREAMS, D, seed=0).mul(D**-0.5)


@pytest.fixture(name="tokens")
def drawn_tokens() -> torch.Tensor:
    return normalize(drawn(N_ROWS, N_COLUMNS, D, seed=1))


@pytest.fixture(name="others")
def drawn_others() -> torch.Tensor:
    return normalize(drawn(N_ROWS, N_COLUMNS, D, seed=2))


def test_an_expansion_is_what_the_streams_read(query: torch.Tensor, tokens: torch.Tensor) -> None:
    around = expand(query, tokens, changes=True)
    weights = attention_weights(query, tokens)
    torch.testing.assert_close(around.mean, read_columns(weights, tokens))
    assert around.covariance is not None
    centred = tokens[:, None] - around.mean[:, :, None]
    torch.testing.assert_close(
        around.covariance, torch.einsum("bsc,bscd,bsce->bsde", weights, centred, centred), atol=1e-12, rtol=1e-9
    )
    total = torch.bmm(query, tokens.transpose(1, 2)).exp().sum(dim=2).log()
    torch.testing.assert_close(around.log_total, total)


@pytest.mark.parametrize("changes", [True, False])
def test_where_queries_do_not_change_nothing_is_neglected(
    query: torch.Tensor, tokens: torch.Tensor, others: torch.Tensor, changes: bool
) -> None:
    swaps = swaps_of(UNITS)
    repeated = query[:, None].expand(-1, len(UNITS), -1, -1)
    read, spread = read_swapped_nearly(repeated, expand(query, tokens, changes=changes), tokens, others, swaps)
    torch.testing.assert_close(read, read_swapped(repeated, tokens, others, swaps))
    assert (spread == 0).all()


def test_what_is_neglected_falls_with_the_square_of_the_change_and_is_of_the_order_of_the_spread(
    query: torch.Tensor, tokens: torch.Tensor, others: torch.Tensor
) -> None:
    swaps, around = swaps_of(UNITS), expand(query, tokens, changes=True)
    direction = drawn(N_ROWS, len(UNITS), N_STREAMS, D, seed=3) / D**0.5
    errors, spreads = [], []
    for size in (0.2, 0.02):
        changed = query[:, None] + size * direction
        read, spread = read_swapped_nearly(changed, around, tokens, others, swaps)
        errors.append((read - read_swapped(changed, tokens, others, swaps)).abs().max().item())
        spreads.append(spread.max().item())
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.5)
    assert spreads[0] / spreads[1] == pytest.approx(100)
    assert errors[0] < spreads[0]


def test_where_a_column_had_nearly_all_attention_nothing_is_promised(
    tokens: torch.Tensor, others: torch.Tensor
) -> None:
    query = 10 * tokens[:, :1]
    swaps = swaps_of([[0], [1]])
    repeated = query[:, None].expand(-1, 2, -1, -1)
    _, spread = read_swapped_nearly(repeated, expand(query, tokens, changes=True), tokens, others, swaps)
    assert spread.isinf().tolist() == [[True, False]] * N_ROWS


@pytest.mark.parametrize("n_groups", [1, 3])
def test_expanded_swaps_of_an_encoder_are_near_those_in_full(n_groups: int) -> None:
    torch.manual_seed(0)
    encoder = ClassAttentionEncoder(3, n_groups, 3, 2, D, attention_dropout=0.0, ffn_dropout=0.0).double()
    n_columns = 500
    tokens, others = (normalize(drawn(n_groups, N_ROWS, n_columns, D, seed=seed)) for seed in (4, 5))
    swaps = swaps_of([[i] for i in range(0, n_columns, 25)] + [[1, 2]])
    state, spread = encoder.swap_columns_nearly(tokens, others, swaps, encoder.expand(tokens))
    in_full = encoder.swap_columns(tokens, others, swaps)
    unchanged = encoder(tokens)[0].repeat_interleave(swaps.n_swaps, dim=1)
    assert spread.shape == (N_ROWS, swaps.n_swaps)
    relative = (state - in_full).abs().mean() / (in_full - unchanged).abs().mean()
    assert 0 < relative < 0.01
    assert 0 < spread.max() < 0.01
