import pytest
import torch

from tabattn.nn.attention import attention_weights, read_columns, value_norms

N_ROWS, N_STREAMS, N_COLUMNS, D = 5, 6, 7, 12


@pytest.fixture
def query() -> torch.Tensor:
    return torch.randn(N_ROWS, N_STREAMS, D, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randn(N_ROWS, N_COLUMNS, D, generator=torch.Generator().manual_seed(1))


def test_weights_and_mixtures_are_those_of_the_definition(query: torch.Tensor, tokens: torch.Tensor) -> None:
    weights = attention_weights(query, tokens)
    read = read_columns(weights, tokens)
    for row in range(N_ROWS):
        for stream in range(N_STREAMS):
            plain = (tokens[row] @ query[row, stream] / D**0.5).softmax(dim=0)
            torch.testing.assert_close(weights[row, stream], plain)
            torch.testing.assert_close(read[row, stream], plain @ tokens[row])


def test_weights_sum_to_one(query: torch.Tensor, tokens: torch.Tensor) -> None:
    torch.testing.assert_close(attention_weights(100 * query, tokens).sum(dim=-1), torch.ones(N_ROWS, N_STREAMS))


def test_value_norms_are_lengths_of_transformed_tokens(tokens: torch.Tensor) -> None:
    w_output = torch.randn(N_STREAMS, D, D, generator=torch.Generator().manual_seed(2))
    norms = value_norms(tokens, w_output)
    for stream in range(N_STREAMS):
        torch.testing.assert_close(norms[:, stream], (tokens @ w_output[stream]).norm(dim=-1))
