from typing import get_args

import pytest
import torch

from tabattn.choices import EncoderKind
from tabattn.nn.mixing import EncoderDecoder, MixingKind
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.training.pretraining import (
    KEEP,
    MASK,
    SWAP,
    TASKS,
    BertTask,
    Reconstruction,
    drawn_spans,
    hidden_cells,
    pretrain,
)
from tabattn.training.settings import OptimizerSettings, TrainingSettings
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
    return TrainingSettings(OptimizerSettings(5e-3, 0.0), 32, n_epochs, 1, 0, "cpu")


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


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_bert_hides_the_same_cells_at_every_epoch_and_roberta_others(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = []
    of_cells = Reconstruction.loss

    def kept(self: Reconstruction, states: torch.Tensor, cells: Cells, predicted: torch.Tensor) -> torch.Tensor:
        hidden.append(predicted)
        return of_cells(self, states, cells, predicted)

    monkeypatch.setattr(Reconstruction, "loss", kept)
    cells, generator = correlated_rows(50), draws()
    shape = shape_for("bert")
    for task in (BertTask(50, 6, generator), TASKS["roberta"]):
        for rows in (torch.arange(50), torch.arange(50).flip(0)):
            task(TabAttnModel(shape), Reconstruction(shape), cells.take(rows), rows, generator)
    assert torch.equal(hidden[0], hidden[1].flip(0)), "a mask belongs to its row"
    assert not torch.equal(hidden[2], hidden[3].flip(0))
    assert not torch.equal(hidden[2], hidden[3])


def test_bert_learns_whether_halves_belong_together() -> None:
    torch.manual_seed(0)
    shape, cells, rows = shape_for("bert"), correlated_rows(200), torch.arange(200)
    model, head, task = TabAttnModel(shape), Reconstruction(shape), BertTask(200, 6, draws())
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-2)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = task(model, head, cells, rows, draws())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert head.same_row.weight.grad is not None
    assert head.same_row.weight.grad.abs().max() > 0
    assert losses[-1] < 0.6, "ln 2 is what guessing costs, and the cells cost something too"


@pytest.mark.parametrize(("n_columns", "n_predicted"), [(3, 1), (6, 1), (12, 2), (20, 3)])
def test_xlnet_predicts_the_last_sixth_of_an_order(
    n_columns: int, n_predicted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = []
    of_cells = Reconstruction.loss

    def kept(self: Reconstruction, states: torch.Tensor, cells: Cells, predicted: torch.Tensor) -> torch.Tensor:
        chosen.append(predicted)
        return of_cells(self, states, cells, predicted)

    monkeypatch.setattr(Reconstruction, "loss", kept)
    shape = shape_for("xlnet", n_numeric=n_columns, n_levels=())
    cells = Cells(torch.randn(300, n_columns), torch.zeros(300, 0).long(), None)
    TASKS["xlnet"](TabAttnModel(shape), Reconstruction(shape), cells, torch.arange(300), draws())
    (predicted,) = chosen
    assert (predicted.sum(dim=1) == n_predicted).all()
    assert predicted.any(dim=0).all(), "every column is predicted in some row"


def test_t5_generates_a_cell_from_the_sentinel_and_from_the_cells_before_it_in_its_span(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = []
    generate = EncoderDecoder.generate

    def kept(self: EncoderDecoder, tokens: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        given.append((tokens, known))
        return generate(self, tokens, known)

    monkeypatch.setattr(EncoderDecoder, "generate", kept)
    shape = shape_for("t5", n_numeric=20, n_levels=())
    model, head = TabAttnModel(shape), Reconstruction(shape)
    (columns,), _ = drawn_spans(1, 20, draws())
    assert len(columns) == 3
    numbers = torch.randn(1, 20, generator=draws())
    for changed in (None, *columns):
        changing = numbers.clone()
        if changed is not None:
            changing[0, changed] += 1
        TASKS["t5"](model, head, Cells(changing, torch.zeros(1, 0).long(), None), torch.arange(1), draws())
    (shown, inputs), *others = given
    for i, (their_shown, their_inputs) in enumerate(others):
        assert torch.equal(their_shown, shown), "what is hidden is not seen by the encoder"
        is_other = (their_inputs != inputs).any(dim=-1)[0, 0]
        assert is_other.tolist() == [j == i + 1 for j in range(3)], "only the next cell is generated from this one"


@pytest.mark.slow
def test_t5_learns_no_column_of_a_longer_span_from_itself() -> None:
    cells = Cells(torch.randn(600, 20, generator=draws()), torch.zeros(600, 0).long(), None)
    shape = shape_for("t5", n_numeric=20, n_levels=())
    assert pretrain(shape, cells, settings(20)).history["train"][-1] > 0.7
