"""The encoders that mix columns, against what each shape promises."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from tabattn.nn.attention import ColumnSwaps
from tabattn.nn.encoder import normalize
from tabattn.nn.mixing import (
    ColumnMixer,
    EncoderDecoder,
    MemberAttention,
    Mixed,
    MixingEncoder,
    MixingKind,
    Sizes,
    mixing_body,
)

KINDS: tuple[MixingKind, ...] = get_args(MixingKind)
N_MEMBERS, N_ROWS, N_COLUMNS, D = 2, 5, 6, 8


def make_body(kind: MixingKind, dropout: float = 0.0) -> ColumnMixer | EncoderDecoder:
    torch.manual_seed(0)
    body = mixing_body(kind, Sizes(2, N_MEMBERS, 2, D, dropout, dropout)).double().eval()
    for parameter in body.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return body


def make_tokens(seed: int = 1) -> Tensor:
    return normalize(
        torch.randn(N_MEMBERS, N_ROWS, N_COLUMNS, D, generator=torch.Generator().manual_seed(seed))
    ).double()


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_fused_attention_is_what_the_weights_say(kind: MixingKind) -> None:
    body, tokens = make_body(kind), make_tokens()
    fused: Mixed = body(tokens)
    read: Mixed = body(tokens, with_weights=True)
    torch.testing.assert_close(fused.state, read.state)
    torch.testing.assert_close(fused.columns, read.columns)
    for quick, whole in zip(fused.attention, read.attention, strict=True):
        assert quick.shape == (N_MEMBERS, N_ROWS, 2, N_COLUMNS)
        torch.testing.assert_close(quick, whole)
    for weights in (*read.between, *read.cross):
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]).double())
    assert (len(fused.between), len(read.between)) == (0, 2)


def test_attention_is_torchs_own_for_one_member() -> None:
    torch.manual_seed(0)
    ours = MemberAttention(Sizes(1, 1, 2, D, 0.0, 0.0)).double()
    theirs = torch.nn.MultiheadAttention(D, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        layers = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([layer.weight[0].T for layer in layers]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias[0, 0].normal_() for layer in layers]))
        theirs.out_proj.weight.copy_(ours.output.weight[0].T)
        theirs.out_proj.bias.copy_(ours.output.bias[0, 0].normal_())
        states = torch.randn(3, 5, D).double()
        hidden = torch.ones(5, 5).triu(1).bool()
        expected, expected_weights = theirs(states, states, states, attn_mask=hidden, average_attn_weights=False)
        found, weights = ours(states[None], states[None], ~hidden[None], with_weights=True)
    assert weights is not None
    torch.testing.assert_close(found[0], expected)
    torch.testing.assert_close(weights[0], expected_weights)


def test_a_query_that_may_attend_to_nothing_reads_nothing() -> None:
    torch.manual_seed(0)
    attention = MemberAttention(Sizes(1, 1, 2, D, 0.0, 0.0))
    torch.nn.init.normal_(attention.output.bias)
    states = torch.randn(1, 3, 4, D)
    visible = torch.ones(1, 4, 4, dtype=torch.bool).tril(-1)
    for with_weights in (False, True):
        read, _ = attention(states, states, visible, with_weights=with_weights)
        torch.testing.assert_close(read[0, :, 0], attention.output.bias[0].expand(3, -1))
        assert read.isfinite().all()


@torch.no_grad()
def test_gpt_leaks_nothing_to_columns_before() -> None:
    body, tokens = make_body("gpt"), make_tokens()
    changed = tokens.clone()
    changed[:, :, 3] = make_tokens(2)[:, :, 3]
    before, after = body(tokens), body(changed)
    torch.testing.assert_close(after.columns[:, :, :3], before.columns[:, :, :3], rtol=0, atol=0)
    assert ((after.columns - before.columns)[:, :, 3:].abs().amax(dim=-1) > 1e-6).all()
    assert ((after.state - before.state).abs().amax(dim=-1) > 1e-6).all()


@torch.no_grad()
def test_only_gpt_knows_the_order_of_columns() -> None:
    tokens, order = make_tokens(), torch.tensor([3, 0, 5, 1, 4, 2])
    for kind in KINDS:
        body = make_body(kind)
        state, shuffled = body(tokens).state, body(tokens[:, :, order]).state
        assert torch.allclose(state, shuffled) == (kind != "gpt"), kind
    encoder = MixingEncoder(make_body("gpt"), N_MEMBERS, N_MEMBERS, tuple(order.tolist()))
    ordered = encoder.body(tokens[:, :, order], with_weights=True)
    state, attention = encoder.predict(tokens)
    torch.testing.assert_close(state, ordered.state)
    torch.testing.assert_close(attention[1][:, :, :, order], ordered.attention[1].transpose(0, 1))
    torch.testing.assert_close(encoder.mix(tokens).columns[:, :, order], ordered.columns)
    read = encoder.read(tokens)
    torch.testing.assert_close(read.norms[0][..., order], ordered.norms[0])
    torch.testing.assert_close(read.attention[0], attention[0].transpose(0, 1))


@torch.no_grad()
def test_xlnets_content_stream_is_a_causal_transformer_in_the_order_of_the_row() -> None:
    xlnet, gpt = make_body("xlnet"), make_body("gpt")
    assert isinstance(xlnet, ColumnMixer)
    gpt.load_state_dict({name: value for name, value in xlnet.state_dict().items() if name != "query"})
    tokens, order = make_tokens(), torch.tensor([3, 0, 5, 1, 4, 2])
    rank = order.argsort().expand(N_ROWS, -1)
    content, query = xlnet.two_streams(tokens, torch.zeros_like(tokens), rank)
    torch.testing.assert_close(content[:, :, order], gpt(tokens[:, :, order]).columns)
    changed = tokens.clone()
    changed[:, :, 1] = make_tokens(2)[:, :, 1]
    other_content, other_query = xlnet.two_streams(changed, torch.zeros_like(tokens), rank)
    upto, later = order[:3], order[4:]
    torch.testing.assert_close(other_content[:, :, upto], content[:, :, upto], rtol=0, atol=0)
    torch.testing.assert_close(other_query[:, :, order[:4]], query[:, :, order[:4]], rtol=0, atol=0)
    assert ((other_query - query)[:, :, later].abs().amax(dim=-1) > 1e-6).all()
    assert ((other_content - content)[:, :, 1].abs().amax(dim=-1) > 1e-6).all()


@torch.no_grad()
def test_t5_reads_columns_by_cross_attention_and_generates_one_after_the_other() -> None:
    body, tokens = make_body("t5"), make_tokens()
    assert isinstance(body, EncoderDecoder)
    read = body(tokens, with_weights=True)
    for weights, cross in zip(read.attention, read.cross, strict=True):
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]).double())
        torch.testing.assert_close(weights, cross[:, :, :, 0])
    known = make_tokens(3)[:, :, :4]
    changed = known.clone()
    changed[:, :, 2] = make_tokens(4)[:, :, 2]
    before, after = body.generate(tokens, known), body.generate(tokens, changed)
    torch.testing.assert_close(after[:, :, :2], before[:, :, :2], rtol=0, atol=0)
    assert ((after - before)[:, :, 2:].abs().amax(dim=-1) > 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_members_are_encoders_side_by_side_and_exchanges_what_they_are_alone(kind: MixingKind) -> None:
    body = make_body(kind)
    shared = normalize(torch.randn(1, N_ROWS, N_COLUMNS, D)).double()
    encoder = MixingEncoder(body, 1, N_MEMBERS)
    state, _ = encoder.predict(shared)
    changed = shared.repeat(N_MEMBERS, 1, 1, 1)
    changed[1] = make_tokens()[1]
    assert torch.equal(body(changed).state[0], state[0])
    others = normalize(torch.randn(1, N_ROWS, N_COLUMNS, D)).double()
    swaps = ColumnSwaps(torch.tensor([4, 0, 2]), torch.tensor([0, 0, 1]), 2)
    found = encoder.swap_columns(shared, others, swaps).unflatten(1, (N_ROWS, 2))
    for number, columns in enumerate(([4, 0], [2])):
        alone = shared.clone()
        alone[:, :, columns] = others[:, :, columns]
        torch.testing.assert_close(found[:, :, number], encoder.predict(alone)[0])


@torch.no_grad()
def test_lengths_are_those_of_what_all_attention_to_a_column_adds() -> None:
    attention = MemberAttention(Sizes(1, 1, 2, D, 0.0, 0.0)).double()
    torch.nn.init.normal_(attention.value.bias)
    states = torch.randn(1, 1, 3, D).double()
    norms = attention.norms(states)
    only = torch.zeros(1, 1, 3, dtype=torch.bool)
    for column in range(3):
        visible = only.clone()
        visible[..., column] = True
        both, _ = attention(states[:, :, :1], states, visible)
        value = attention.value(states[:, 0])[0, column]
        heads = [value[4 * h : 4 * h + 4] @ attention.output.weight[0, 4 * h : 4 * h + 4] for h in range(2)]
        torch.testing.assert_close(norms[0, 0, :, column], torch.stack([each.norm() for each in heads]))
        torch.testing.assert_close(both[0, 0, 0], heads[0] + heads[1] + attention.output.bias[0, 0])
