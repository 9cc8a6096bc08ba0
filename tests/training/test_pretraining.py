from typing import get_args

import pytest
import torch

from tabattn.nn.kinds import MixingKind
from tabattn.nn.model import EncoderKind, ModelShape
from tabattn.nn.tokens import Cells
from tabattn.training.fitting import TrainingSettings
from tabattn.training.module import OptimizerSettings
from tabattn.training.pretraining import KEEP, MASK, SWAP, drawn_spans, hidden_cells, pretrain
from tests.conftest import small_shape

ENCODERS: tuple[EncoderKind, ...] = ("class", *get_args(MixingKind))


def correlated_rows(n_rows: int) -> Cells:
    """Four numbers and two categories, all of which follow one hidden number; some cells are missing."""
    torch.manual_seed(0)
    hidden = torch.randn(n_rows, 1)
    numeric = hidden * torch.tensor([1.0, -1.0, 1.0, 1.0]) + 0.1 * torch.randn(n_rows, 4)
    codes = 1 + torch.cat([hidden > 0, hidden < 0.5], dim=1).long()
    return Cells(numeric, codes, torch.rand(n_rows, 6) < 0.05)


def shape_for(encoder: EncoderKind, **changes: object) -> ModelShape:
    sizes = {"encoder": encoder, "n_numeric": 4, "n_levels": (3, 3), "n_members": 1, "d_token": 16}
    return small_shape(**(sizes | {"attention_dropout": 0.0, "ffn_dropout": 0.0} | changes))


def settings(n_epochs: int) -> TrainingSettings:
    return TrainingSettings(OptimizerSettings(5e-3, 0.0), 32, n_epochs, 1, 0, "cpu", show_progress=False)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_columns_are_learned_from_the_columns_that_they_go_with(encoder: EncoderKind) -> None:
    """The mean of all costs 1 in squared error, and ln 2 in nats: .9 over four numbers and two categories."""
    order = (5, 4, 3, 2, 1, 0) if encoder == "gpt" else ()
    done = pretrain(shape_for(encoder, order=order), correlated_rows(600), settings(20))
    losses = done.history["validation"]
    assert len(losses) == len(done.history["train"]) == 20
    of_halves = 0.7 if encoder == "bert" else 0.0
    assert losses[-1] < 0.45 + of_halves, "half of what the mean costs"
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_column_is_learned_from_itself(encoder: EncoderKind) -> None:
    """Nothing can be known of independent numbers but their mean, which costs 1 (a tenth of the hidden cells stay)."""
    cells = Cells(torch.randn(600, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(600, 0).long(), None)
    losses = pretrain(shape_for(encoder, n_levels=()), cells, settings(20)).history["train"]
    assert losses[-1] > 0.7


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_same_seed_gives_the_same_weights_and_nothing_global_changes(encoder: EncoderKind) -> None:
    shape = shape_for(encoder, n_members=2, n_groups=2 if encoder == "class" else 1)
    cells = correlated_rows(100)
    state = torch.get_rng_state()
    one, two = (pretrain(shape, cells, settings(2)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert one.history == two.history
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, two.model.state_dict()[name]), name


@pytest.mark.parametrize("encoder", ENCODERS)
def test_one_column_can_be_pretrained_or_has_nothing_to_learn(encoder: EncoderKind) -> None:
    cells = Cells(torch.randn(20, 1), torch.zeros(20, 0, dtype=torch.long), None)
    shape = shape_for(encoder, n_numeric=1, n_levels=())
    assert all(loss < 10 for loss in pretrain(shape, cells, settings(2)).history["validation"])


def test_a_sixth_of_the_cells_are_hidden_and_of_these_four_fifths() -> None:
    action = hidden_cells(4000, 20, torch.Generator().manual_seed(0))
    assert ((action != KEEP).sum(dim=1) == 3).all()
    shares = [float((action == each).sum() / (action != KEEP).sum()) for each in (MASK, SWAP, -1)]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    assert ((hidden_cells(50, 3, torch.Generator().manual_seed(0)) != KEEP).sum(dim=1) == 1).all()


@pytest.mark.parametrize("n_columns", [1, 2, 5, 20, 41, 100])
def test_spans_lie_apart_inside_the_row(n_columns: int) -> None:
    columns, spans = drawn_spans(500, n_columns, torch.Generator().manual_seed(0))
    assert columns.min() >= 0
    assert columns.max() < n_columns
    assert (columns.diff(dim=1) >= 1).all()
    assert ((columns.diff(dim=1) == 1) | (spans.diff(dim=1) == 1)).all()
    assert columns.shape[1] == pytest.approx(max(1, 0.15 * n_columns), rel=0.4, abs=1)
    assert len(columns.unique()) == n_columns, "every column is predicted in some row"
