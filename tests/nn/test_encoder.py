import pytest
import torch
from torch import nn

from tabattn.nn.attention import ColumnSwaps
from tabattn.nn.encoder import ClassAttentionEncoder, ClassAttentionLayer, normalize

D = 16


def make_encoder(n_groups: int = 1, n_members: int = 3, dropout: float = 0.0) -> ClassAttentionEncoder:
    torch.manual_seed(0)
    encoder = ClassAttentionEncoder(
        n_layers=2,
        n_groups=n_groups,
        n_members=n_members,
        n_heads=4,
        d_token=D,
        attention_dropout=dropout,
        ffn_dropout=dropout,
    )
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.3)
    return encoder


def test_permuting_columns_permutes_attention_and_changes_no_state() -> None:
    encoder, tokens = make_encoder(), torch.randn(1, 5, 7, D)
    order = torch.randperm(7)
    state, readings = encoder(tokens)
    permuted_state, permuted_readings = encoder(tokens[:, :, order])
    torch.testing.assert_close(permuted_state, state)
    for before, after in zip(readings, permuted_readings, strict=True):
        torch.testing.assert_close(after.weights, before.weights[..., order])
        torch.testing.assert_close(after.mixture, before.mixture)


def test_attention_is_returned_before_dropout() -> None:
    encoder = make_encoder(dropout=0.9).train()
    _, readings = encoder(torch.randn(1, 5, 7, D))
    for weights in encoder.by_head(reading.weights for reading in readings):
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(5, 3, 4))
        assert (weights > 0).all()


NO_FACTORS = (None, None)


def test_cls_attending_only_to_one_column_scores_one_hot() -> None:
    torch.manual_seed(0)
    layer = ClassAttentionLayer(n_groups=1, n_members=1, n_heads=1, d_token=D, attention_dropout=0.0, ffn_dropout=0.0)
    tokens = nn.functional.layer_norm(torch.randn(1, 1, 6, D), (D,))
    with torch.no_grad():
        layer.query.weight.zero_()
        layer.query.bias.copy_(1000 * tokens[0, 0, 4][None, None])
    _, reading = layer(torch.zeros(1, 1, D), tokens[0], NO_FACTORS)
    assert reading.weights.flatten().tolist() == [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def test_layer_is_multi_head_attention_with_absorbed_projections() -> None:
    torch.manual_seed(0)
    n_heads, d_head = 4, D // 4
    layer = ClassAttentionLayer(
        n_groups=1, n_members=1, n_heads=n_heads, d_token=D, attention_dropout=0.0, ffn_dropout=0.0
    )
    nn.init.normal_(layer.output.bias)
    nn.init.zeros_(layer.ffn_out.weight)
    plain = nn.MultiheadAttention(D, n_heads, batch_first=True)
    nn.init.normal_(plain.in_proj_bias[:D])
    with torch.no_grad():
        w_query, w_key, w_value = (part.unflatten(0, (n_heads, d_head)) for part in plain.in_proj_weight.chunk(3))
        b_query = plain.in_proj_bias[:D].unflatten(0, (n_heads, d_head))
        w_output = plain.out_proj.weight.T.unflatten(0, (n_heads, d_head))
        rescaled = n_heads**0.5
        layer.query.weight.copy_(rescaled * torch.einsum("hid,hie->dhe", w_query, w_key).reshape(1, D, -1))
        layer.query.bias.copy_(rescaled * torch.einsum("hi,hie->he", b_query, w_key).reshape(1, 1, -1))
        layer.output.weight.copy_(torch.einsum("hid,hie->hde", w_value, w_output).reshape(1, -1, D))
        plain.out_proj.bias.copy_(layer.output.bias[0, 0])
    state, tokens = torch.randn(1, 5, D), torch.randn(1, 5, 7, D)
    new_state, reading = layer(state, tokens[0], NO_FACTORS)
    query = nn.functional.layer_norm(state, (D,)).transpose(0, 1)
    expected, expected_weights = plain(query, tokens[0], tokens[0], average_attn_weights=False)
    torch.testing.assert_close(new_state - state, expected.transpose(0, 1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer.by_head(reading.weights)[:, 0], expected_weights[:, :, 0], atol=1e-5, rtol=1e-5)


def test_one_state_for_all_rows_is_that_state_repeated() -> None:
    torch.manual_seed(0)
    layer = ClassAttentionLayer(n_groups=1, n_members=3, n_heads=2, d_token=D, attention_dropout=0.0, ffn_dropout=0.0)
    state, tokens = torch.randn(3, 1, D), torch.randn(1, 5, 7, D)
    both = (layer(each, tokens[0], NO_FACTORS) for each in (state, state.expand(-1, 5, -1)))
    for shared, repeated in zip(*both, strict=True):
        torch.testing.assert_close(shared, repeated)


def test_members_are_independent() -> None:
    encoder, tokens = make_encoder(), torch.randn(1, 5, 7, D)
    (encoder(tokens)[0][1] * torch.randn(5, D)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None
        by_member = parameter.grad.reshape(3, -1).abs().sum(dim=1)
        assert by_member[0] == by_member[2] == 0, name
        assert by_member[1] > 1e-3, name


def test_rows_do_not_influence_each_other() -> None:
    encoder, tokens = make_encoder(), torch.randn(1, 5, 7, D)
    together = encoder(tokens)[0]
    alone = torch.cat([encoder(tokens[:, i : i + 1])[0] for i in range(5)], dim=1)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_value_norms_have_one_length_per_weight() -> None:
    encoder, tokens = make_encoder(), normalize(torch.randn(1, 5, 7, D))
    norms = encoder.value_norms(tokens)
    assert [n.shape for n in norms] == [(5, 3, 4, 7)] * 2
    layer = encoder.layers[1]
    assert isinstance(layer, ClassAttentionLayer)
    member, head = 2, 3
    w_output = layer.output.weight[member, head * D : (head + 1) * D]
    torch.testing.assert_close(norms[1][:, member, head], (tokens[0] @ w_output).norm(dim=-1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("n_groups", [1, 3])
@pytest.mark.parametrize("exchanged", [[[i] for i in range(7)], [[2]], [[4], [5], [6]], [[5, 0, 3], [1], [2, 6]]])
def test_exchanges_that_are_computed_together_are_what_each_is_alone(n_groups: int, exchanged: list[list[int]]) -> None:
    encoder = make_encoder(n_groups=n_groups)
    tokens, others = (normalize(torch.randn(n_groups, 5, 7, D)) for _ in range(2))
    pairs = [(column, number) for number, columns in enumerate(exchanged) for column in columns]
    columns, numbers = torch.tensor(pairs).T
    swaps = ColumnSwaps(columns, numbers, len(exchanged))
    together = encoder.swap_columns(tokens, others, swaps).unflatten(1, (5, -1))
    for number, changing in enumerate(exchanged):
        changed = tokens.clone()
        changed[:, :, changing] = others[:, :, changing]
        torch.testing.assert_close(together[:, :, number], encoder(changed)[0])
