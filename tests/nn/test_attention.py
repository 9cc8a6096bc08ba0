import pytest
import torch

from tabattn.nn.attention import (
    attention_weights,
    gradient_factors,
    read_columns,
    value_norms,
)

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
            plain = (tokens[row] @ query[row, stream]).softmax(dim=0)
            torch.testing.assert_close(weights[row, stream], plain)
            torch.testing.assert_close(read[row, stream], plain @ tokens[row])


def test_weights_sum_to_one(query: torch.Tensor, tokens: torch.Tensor) -> None:
    torch.testing.assert_close(attention_weights(100 * query, tokens).sum(dim=-1), torch.ones(N_ROWS, N_STREAMS))


def test_value_norms_are_lengths_of_transformed_tokens(tokens: torch.Tensor) -> None:
    w_output = torch.randn(N_STREAMS, D, D, generator=torch.Generator().manual_seed(2))
    norms = value_norms(tokens, w_output)
    for stream in range(N_STREAMS):
        torch.testing.assert_close(norms[:, stream], (tokens @ w_output[stream]).norm(dim=-1))


def test_gradients_through_factors_are_those_of_the_products(query: torch.Tensor, tokens: torch.Tensor) -> None:
    def gradients(with_factors: bool) -> list[torch.Tensor]:
        leaves = [query.clone().requires_grad_(), tokens.clone().requires_grad_()]
        factors = gradient_factors(leaves[1], N_STREAMS, 4) if with_factors else (None,) * 4
        assert all((each is not None) == with_factors for each in factors)
        weights = attention_weights(leaves[0], leaves[1], factors[0])
        first = read_columns(0.7 * weights, leaves[1], factors[1])
        second = read_columns(attention_weights(first, leaves[1], factors[2]), leaves[1], factors[3])
        loss = second.square().sum() + weights[..., 0].sum()
        return list(torch.autograd.grad(loss, leaves))

    for found, expected in zip(gradients(with_factors=True), gradients(with_factors=False), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_product_that_nothing_depends_on_adds_nothing_to_the_gradient(tokens: torch.Tensor) -> None:
    leaf = tokens.clone().requires_grad_()
    factors = gradient_factors(leaf, N_STREAMS, 2)
    weights = torch.rand(N_ROWS, N_STREAMS, N_COLUMNS)
    read_columns(weights, leaf, factors[0]).sum().backward()
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, weights.sum(dim=1)[..., None].expand(-1, -1, D))


def test_factors_are_for_training_on_a_cpu(tokens: torch.Tensor) -> None:
    assert gradient_factors(tokens, N_STREAMS, 2) == (None, None)
    with torch.autocast("cpu", torch.bfloat16):
        assert gradient_factors(tokens.clone().requires_grad_(), N_STREAMS, 2) == (None, None)
    with torch.no_grad():
        assert gradient_factors(tokens.clone().requires_grad_(), N_STREAMS, 2) == (None, None)
