import logging
import random
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.progress import Job, Phase
from tabattn.training.data import TrainingRows
from tabattn.training.fitting import MAX_GRADIENT_NORM, MAX_VALIDATION_ROWS, N_WARM_UP_EPOCHS, Trained, train
from tabattn.training.holdout import HoldOut
from tabattn.training.module import TrainingModule
from tabattn.training.settings import OptimizerSettings, TrainingSettings
from tests.conftest import small_shape

SHAPE = small_shape(n_groups=3, attention_dropout=0.1, ffn_dropout=0.1)


def make_rows(n_rows: int, seed: int) -> TrainingRows:
    generator = torch.Generator().manual_seed(seed)
    numeric = torch.randn(n_rows, 2, generator=generator)
    codes = torch.randint(0, 3, (n_rows, 1), generator=generator)
    target = numeric[:, :1] + codes - 1.0
    return TrainingRows.numbered(Cells(numeric, codes, None), target, torch.ones(n_rows))


def hold_out(n_rows: int = 200) -> torch.Tensor:
    """Every fourth row is held out by the first member, every fourth by the second, every fourth by the third."""
    return torch.arange(n_rows)[:, None] % 4 == torch.arange(3)


def train_on(
    shape: ModelShape, rows: TrainingRows, held_out: torch.Tensor, settings: TrainingSettings, **rest: Any
) -> Trained:
    return train(shape, rows, HoldOut.of(held_out), settings, **rest)


def make_settings(**changes: Any) -> TrainingSettings:
    settings: dict[str, Any] = {
        "optimizer": OptimizerSettings(1e-2, 0.0),
        "batch_size": 32,
        "max_epochs": 12,
        "patience": 16,
        "seed": 0,
        "device": "cpu",
    }
    return TrainingSettings(**(settings | changes))


def fit(**changes: Any) -> Trained:
    return train_on(SHAPE, make_rows(200, 0), hold_out(), make_settings(**changes))


def validation_loss(trained: Trained, rows: TrainingRows | None = None, held_out: torch.Tensor | None = None) -> float:
    rows = make_rows(200, 0) if rows is None else rows
    held_out = hold_out(len(rows)) if held_out is None else held_out
    chosen = held_out.any(dim=1).nonzero().flatten()
    rows, by_member = rows.take(chosen), held_out[chosen].float()
    with torch.inference_mode():
        prediction = trained.model(rows.cells).prediction
        losses = trained.model.loss.ensemble(prediction, rows.target, by_member)
    return float((losses * rows.weight).sum() / rows.weight.sum())


def test_the_best_weights_are_restored_and_training_stops_after_patience() -> None:
    rows = make_rows(200, 0)
    noise = replace(rows, target=torch.randn(200, 1, generator=torch.Generator().manual_seed(1)))
    settings = make_settings(max_epochs=300, patience=3, optimizer=OptimizerSettings(3e-2, 0.0))
    trained = train_on(SHAPE, noise, hold_out(), settings)
    assert trained.n_epochs == trained.best_epoch + 3 < 300
    assert validation_loss(trained, noise) == pytest.approx(trained.best_loss, rel=1e-5)
    assert not trained.model.training


def test_the_average_of_the_weights_is_what_is_validated_and_kept() -> None:
    trained = fit(max_epochs=1, batch_size=200)
    torch.manual_seed(0)
    initial = TabAttnModel(SHAPE).state_dict()
    moved = {
        name: (trained.model.state_dict()[name] - initial[name]).abs().max() for name in ("encoder.cls", "head.bias")
    }
    kept_of_the_initial_weights = (1 + 1) / (10 + 1)
    first_step_of_adam = 1e-2 / N_WARM_UP_EPOCHS  # an epoch is one step here
    for distance in moved.values():
        assert distance == pytest.approx((1 - kept_of_the_initial_weights) * first_step_of_adam, rel=1e-3)
    assert validation_loss(trained) == pytest.approx(trained.best_loss, rel=1e-5)


def test_training_learns() -> None:
    assert validation_loss(fit()) < 0.3


def test_attention_is_recorded_in_both_modes_at_every_epoch() -> None:
    trained = fit()
    for attention in (trained.train_attention, trained.eval_attention):
        assert attention.shape == (12, 3)
        torch.testing.assert_close(attention.sum(dim=1), torch.ones(12))
    assert not torch.equal(trained.train_attention, trained.eval_attention)


def test_the_last_eval_attention_is_that_of_the_model() -> None:
    trained = fit(max_epochs=1)
    rows = make_rows(200, 0)
    attention = torch.stack(trained.model(rows.cells).attention).mean(dim=(0, 3))
    torch.testing.assert_close(trained.eval_attention[0], attention[hold_out()].mean(dim=0))


def test_the_seed_determines_the_weights() -> None:
    first, again, other = (fit(max_epochs=2, seed=seed).model.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["encoder.cls"], other["encoder.cls"])


def test_no_global_state_is_changed() -> None:
    def state() -> list[object]:
        return [
            torch.random.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),  # type: ignore[index]  # noqa: NPY002
            random.getstate(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            [logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")],
        ]

    arguments = SHAPE, make_rows(200, 0), hold_out(), make_settings(max_epochs=1)
    before = state()
    train_on(*arguments)
    assert state() == before


def test_the_validation_loss_is_the_weighted_mean_over_all_batches() -> None:
    n_rows = 6 * MAX_VALIDATION_ROWS + 100
    rows = make_rows(n_rows, 0)
    rows = replace(rows, weight=torch.linspace(1, 9, n_rows))
    trained = train_on(SHAPE, rows, hold_out(n_rows), make_settings(max_epochs=1))
    n_validating = int(hold_out(n_rows)[:, 0].sum())
    assert n_validating > MAX_VALIDATION_ROWS > n_validating % MAX_VALIDATION_ROWS > 0, (
        "the last batch is a smaller one"
    )
    assert trained.best_loss == pytest.approx(validation_loss(trained, rows), rel=1e-5)


def test_groups_may_hold_out_different_numbers_of_rows() -> None:
    rows = make_rows(200, 0)
    sizes = torch.tensor([10, 45, 80])
    held_out = torch.arange(200)[:, None] < sizes
    trained = train_on(SHAPE, rows, held_out, make_settings(max_epochs=3))
    epoch = train_on(SHAPE, rows, held_out, make_settings(max_epochs=1))
    assert epoch.best_loss == pytest.approx(validation_loss(epoch, rows, held_out), rel=1e-5)
    assert trained.best_loss < epoch.best_loss
    other = replace(rows, target=torch.where(torch.arange(200)[:, None] < 10, 1e6, rows.target))
    changed = train_on(SHAPE, other, held_out, make_settings(max_epochs=1))
    for name, value in epoch.model.state_dict().items():
        assert torch.equal(value, changed.model.state_dict()[name]), name


def test_what_every_member_holds_out_is_never_learned() -> None:
    rows = make_rows(200, 0)
    held_out = (torch.arange(200)[:, None] < 50).expand(-1, 3)
    other = replace(rows, target=torch.where(held_out[:, :1], 1e6, rows.target))
    first, second = (train_on(SHAPE, each, held_out, make_settings(max_epochs=1)) for each in (rows, other))
    assert first.best_loss < 10 < second.best_loss
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_an_interruption_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: TrainingModule, batch: TrainingRows, batch_idx: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingModule, "training_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    state = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        fit()
    assert torch.equal(torch.get_rng_state(), state)
    assert signal.getsignal(signal.SIGINT) is handler


def test_weights_of_rows_count() -> None:
    rows = make_rows(200, 0)
    both = TrainingRows.numbered(
        Cells(torch.cat([rows.cells.numeric] * 2), torch.cat([rows.cells.codes] * 2), None),
        torch.cat([rows.target, -rows.target]),
        torch.cat([rows.weight, torch.full((200,), 1e-6)]),
    )
    assert validation_loss(train_on(SHAPE, both, hold_out(400), make_settings())) < 0.5


def test_training_tells_how_far_it_is_and_shows_nothing_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    job, told = Job(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Phase, "advance", lambda self, note="": told.append((self.name, self.n_steps, note)))
        train_on(SHAPE, make_rows(200, 0), hold_out(), make_settings(max_epochs=2), job=job)
    assert [each[:2] for each in told] == [("training", 2)] * 2
    assert all(note.startswith("validation loss ") for _, _, note in told)
    assert capsys.readouterr() == ("", "")
    shown = Job(is_shown=True)
    with shown.shown():
        train_on(SHAPE, make_rows(200, 0), hold_out(), make_settings(max_epochs=2), job=shown)
    assert capsys.readouterr().out == ""


def test_training_ends_in_time_with_the_weights_until_then() -> None:
    seconds = iter(range(10_000))
    job = Job(time_limit=20, clock=lambda: float(next(seconds)))
    trained = train_on(SHAPE, make_rows(200, 0), hold_out(), make_settings(max_epochs=300, batch_size=8), job=job)
    assert trained.n_epochs < 5
    assert trained.best_loss == pytest.approx(validation_loss(trained), rel=1e-5)
    assert job.shortened == [f"training ended in epoch {trained.n_epochs}"]


def test_a_few_extreme_rows_do_not_end_training_while_all_others_get_better() -> None:
    rows, extreme = make_rows(400, 0), torch.arange(400) % 133 == 1
    settings = make_settings(max_epochs=60, optimizer=OptimizerSettings(1e-2, 0.0))
    n_epochs = {0.0: 0, 0.01: 0}
    for seed in (1, 2, 3):
        noise = torch.randn(400, 1, generator=torch.Generator().manual_seed(seed))
        outliers = replace(rows, target=torch.where(extreme[:, None], 50 * noise, rows.target))
        for fraction in n_epochs:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tabattn.training.module.TRIMMED_FRACTION", fraction)
                n_epochs[fraction] += train_on(SHAPE, outliers, hold_out(400), settings).n_epochs
    assert n_epochs[0.0] < n_epochs[0.01]


def test_large_gradients_are_scaled_down_together(monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []
    original = TrainingModule.on_before_optimizer_step

    def noted(self: TrainingModule, optimizer: torch.optim.Optimizer) -> None:
        gradients = [each.grad for group in optimizer.param_groups for each in group["params"] if each.grad is not None]
        norms.append(float(torch.stack([each.norm() for each in gradients]).norm()))
        original(self, optimizer)

    monkeypatch.setattr(TrainingModule, "on_before_optimizer_step", noted)
    rows = make_rows(200, 0)
    train_on(SHAPE, replace(rows, target=1e4 * rows.target), hold_out(), make_settings(max_epochs=2))
    assert norms == pytest.approx([MAX_GRADIENT_NORM] * len(norms), rel=1e-3)
