import pytest
import torch

from tabattn.nn.attention import absorb_key_projection, attention_weights, read_columns, value_norms

N_ROWS, N_STREAMS, N_COLUMNS, D, D_HEAD = 5, 6, 7, 12, 3


@pytest.fixture
def parts() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    query = torch.randn(N_STREAMS, N_ROWS, D_HEAD)
    w_key = torch.randn(N_STREAMS, D_HEAD, D)
    w_value = torch.randn(N_STREAMS, D, D_HEAD)
    tokens = torch.randn(N_ROWS, N_COLUMNS, D)
    return query, w_key, w_value, tokens


def test_absorbed_and_plain_projections_agree(parts: tuple[torch.Tensor, ...]) -> None:
    query, w_key, w_value, tokens = parts
    weights = attention_weights(absorb_key_projection(query, w_key), tokens)
    read = read_columns(weights, tokens, w_value)
    for row in range(N_ROWS):
        for stream in range(N_STREAMS):
            keys = tokens[row] @ w_key[stream].T
            values = tokens[row] @ w_value[stream]
            plain = (keys @ query[stream, row] / D_HEAD**0.5).softmax(dim=0)
            torch.testing.assert_close(weights[row, stream], plain, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(read[stream, row], plain @ values, atol=1e-5, rtol=1e-5)


def test_weights_sum_to_one(parts: tuple[torch.Tensor, ...]) -> None:
    query, w_key, _, tokens = parts
    weights = attention_weights(absorb_key_projection(100 * query, w_key), tokens)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(N_ROWS, N_STREAMS))


def test_value_norms_are_lengths_of_transformed_tokens(parts: tuple[torch.Tensor, ...]) -> None:
    _, _, w_value, tokens = parts
    w_output = torch.randn(N_STREAMS, D_HEAD, D)
    norms = value_norms(tokens, w_value, w_output)
    for stream in range(N_STREAMS):
        plain = (tokens @ w_value[stream] @ w_output[stream]).norm(dim=-1)
        torch.testing.assert_close(norms[:, stream], plain, atol=1e-4, rtol=1e-4)


def test_value_norms_survive_an_output_projection_of_zeros(parts: tuple[torch.Tensor, ...]) -> None:
    _, _, w_value, tokens = parts
    norms = value_norms(tokens, w_value, torch.zeros(N_STREAMS, D_HEAD, D))
    torch.testing.assert_close(norms, torch.zeros_like(norms), atol=1e-4, rtol=0)
