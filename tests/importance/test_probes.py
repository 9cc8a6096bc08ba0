"""Scores of the encoders that mix columns, by slow and obvious computations."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tabattn.importance.aggregation import mixed_rollout_scores
from tabattn.importance.background import read_background
from tabattn.importance.contribution import GAUSS
from tabattn.importance.methods import METHODS, ScoringInputs
from tabattn.nn.mixing import MemberAttention, MixingEncoder, MixingKind
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells
from tests.conftest import small_shape

N_ROWS, N_COLUMNS, TINY_STEP = 3, 3, 1e-6
KINDS: list[tuple[MixingKind, tuple[int, ...]]] = [("bert", ()), ("gpt", (2, 0, 1)), ("xlnet", ()), ("t5", ())]


def make_model(kind: MixingKind, order: tuple[int, ...]) -> TabAttnModel:
    torch.manual_seed(1)
    model = TabAttnModel(small_shape(encoder=kind, order=order, n_members=2, n_groups=1)).eval().double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def make_cells(n_rows: int) -> Cells:
    return Cells(torch.randn(n_rows, 2).double(), torch.randint(0, 3, (n_rows, 1)), None)


def make_question(model: TabAttnModel) -> ScoringInputs:
    torch.manual_seed(2)
    with torch.no_grad():
        read = read_background(model, make_cells(4))
    baseline_rows = torch.tensor([[0, 1], [2, 3], [3, 0]])
    cells, target = make_cells(N_ROWS), torch.randn(N_ROWS, 1).double()
    drawn, orders = [make_cells(N_ROWS)], torch.rand(N_ROWS, 2, 3).argsort(dim=2)
    member_weight = torch.ones(N_ROWS, 2).double()
    return ScoringInputs(cells, target, member_weight, lambda: read, baseline_rows, lambda: drawn, lambda: orders)


def loss_of(model: TabAttnModel, by_member: Tensor, target: Tensor) -> float:
    """Squared error of the ensemble for one row, tokens of shape (member, column, d)."""
    assert isinstance(model.encoder, MixingEncoder)
    outputs = model.outputs(model.encoder.mix(by_member[:, None]).state)
    return float((outputs.mean() - target).square())


def predicted(model: TabAttnModel, by_member: Tensor) -> float:
    assert isinstance(model.encoder, MixingEncoder)
    return float(model.outputs(model.encoder.mix(by_member[:, None]).state).mean())


@pytest.mark.parametrize(("kind", "order"), KINDS)
@torch.no_grad()
def test_contribution_and_swap_exchange_tokens_at_the_entrance(kind: MixingKind, order: tuple[int, ...]) -> None:
    model = make_model(kind, order)
    question = make_question(model)
    background = question.background()
    assert question.target is not None
    own = model.embed(question.cells).repeat(2, 1, 1, 1)
    others = background.tokens.repeat(2, 1, 1, 1)
    everywhere = [predicted(model, others[:, i]) for i in range(4)]
    contribution, swap = (METHODS[name](model, question).sum(dim=1) for name in ("contribution", "swap"))
    for row in range(N_ROWS):
        target, tokens = question.target[row], own[:, row]
        at = predicted(model, tokens)
        low, high = min(*everywhere, at), max(*everywhere, at)
        for column in range(N_COLUMNS):

            def slope(base: Tensor, step: Tensor, target: Tensor | None = None, column: int = column) -> float:
                ends = []
                for size in (TINY_STEP, -TINY_STEP):
                    moved = base.clone()
                    moved[:, column] += size * step
                    ends.append(predicted(model, moved) if target is None else loss_of(model, moved, target))
                return (ends[0] - ends[1]) / (2 * TINY_STEP)

            steps = [others[:, i, column] - tokens[:, column] for i in range(4)]
            tangents = [slope(tokens, step, target) for step in steps]
            changes = []
            for place, i in zip(question.orders()[row], question.baseline_rows[row].tolist(), strict=True):
                way = torch.where((place % 2 == place[column] % 2)[:, None], others[:, i] - tokens, 0.0)
                changes.append(sum(share * slope(tokens + point * way, steps[i]) for point, share in GAUSS))
            bounded = np.clip(changes, low - at, high - at)
            expected = np.mean(bounded**2) + np.mean(tangents)
            np.testing.assert_allclose(contribution[row, column], expected, rtol=1e-4, atol=1e-8)
            rises = []
            for partner in question.baseline_rows[row].tolist():
                changed = tokens.clone()
                changed[:, column] = others[:, partner, column]
                rises.append(loss_of(model, changed, target) - loss_of(model, tokens, target) - tangents[partner])
            np.testing.assert_allclose(swap[row, column], np.mean(rises) + np.mean(tangents), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(("kind", "order"), KINDS)
@torch.no_grad()
def test_attention_alone_is_that_of_the_state_that_predicts(kind: MixingKind, order: tuple[int, ...]) -> None:
    model = make_model(kind, order)
    question = make_question(model)
    assert isinstance(model.encoder, MixingEncoder)
    read = model.encoder.read(model.embed(question.cells).repeat(2, 1, 1, 1))
    expected = torch.stack(read.attention).mean(dim=(0, 3)).transpose(0, 1) / 2
    torch.testing.assert_close(METHODS["mean"](model, question), expected)
    products = [weights * lengths for weights, lengths in zip(read.attention, read.norms, strict=True)]
    torch.testing.assert_close(
        METHODS["norm"](model, question), torch.stack(products).mean(dim=(0, 3)).transpose(0, 1) / 2
    )
    for method in METHODS:
        scores = METHODS[method](model, question)
        assert scores.shape == (N_ROWS, 2, N_COLUMNS)
        assert scores.isfinite().all()
    rollout = METHODS["rollout"](model, question)
    torch.testing.assert_close(rollout.sum(dim=2), torch.full((N_ROWS, 2), 0.5).double())


def test_rollout_follows_columns_through_the_layers() -> None:
    """CLS reads only column 0, which in the layer before read only column 1: half of it is column 1's then."""
    first, second = torch.eye(3), torch.eye(3)
    first[0] = torch.tensor([0.0, 1.0, 0.0])
    second[2] = torch.tensor([1.0, 0.0, 0.0])
    scores = mixed_rollout_scores(tuple(each[None, None, None] for each in (first, second)))
    torch.testing.assert_close(scores[0, 0], torch.tensor([0.5, 0.5]))
    cross = torch.tensor([1.0, 0.0, 0.0])[None, None, None, None]
    scores = mixed_rollout_scores((first[None, None, None],), (cross,))
    torch.testing.assert_close(scores[0, 0], torch.tensor([0.5, 0.5, 0.0]))


@pytest.mark.parametrize(("kind", "n_weights"), [("bert", 2), ("t5", 4)])
@torch.no_grad()
def test_gradient_adds_up_attending_states_heads_and_layers(
    kind: MixingKind, n_weights: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each weight alone is multiplied by a little more than 1."""
    model = make_model(kind, ())
    question = make_question(model)
    assert question.target is not None
    assert isinstance(model.encoder, MixingEncoder)
    scores = METHODS["gradient"](model, question)
    tokens = model.embed(question.cells).repeat(2, 1, 1, 1)
    shapes = [each.shape for each in (*model.encoder.read(tokens).between, *model.encoder.read(tokens).cross)]
    assert len(shapes) == n_weights
    original, row, column, member = MemberAttention.attention_weights, 1, 2, 1

    def loss(at: tuple[int, int, int], size: float) -> float:
        n_calls = -1

        def edited(self: MemberAttention, query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
            nonlocal n_calls
            n_calls += 1
            weights = original(self, query, key, mask).clone()
            if n_calls == at[0]:
                weights[member, row, at[1], at[2], column] *= 1 + size
            return weights

        with monkeypatch.context() as patch:
            patch.setattr(MemberAttention, "attention_weights", edited)
            assert isinstance(model.encoder, MixingEncoder)
            outputs = model.outputs(model.encoder.read(tokens).state)
        assert question.target is not None
        return float((outputs[row].mean() - question.target[row]).square())

    expected = 0.0
    for call, shape in enumerate(shapes):
        for head in range(shape[2]):
            for query in range(shape[3]):
                ends = [loss((call, head, query), size) for size in (TINY_STEP, -TINY_STEP)]
                expected += abs(ends[0] - ends[1]) / (2 * TINY_STEP)
    np.testing.assert_allclose(scores[row, member, column], expected, rtol=1e-4, atol=1e-8)
