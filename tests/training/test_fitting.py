import logging
import random
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.training.data import TrainingRows
from tabattn.training.fitting import MAX_GRADIENT_NORM, MAX_VALIDATION_ROWS, Trained, TrainingSettings, train
from tabattn.training.module import OptimizerSettings, TrainingModule
from tests.conftest import small_shape


def make_rows(n_rows: int, seed: int) -> TrainingRows:
    generator = torch.Generator().manual_seed(seed)
    numeric = torch.randn(n_rows, 2, generator=generator)
    codes = torch.randint(0, 3, (n_rows, 1), generator=generator)
    held_out = torch.arange(n_rows)[:, None] % 4 == torch.arange(3)
    target = numeric[:, :1] + codes - 1.0
    return TrainingRows(Cells(numeric, codes, None), target, torch.ones(n_rows), held_out)


def make_settings(**changes: Any) -> TrainingSettings:
    settings: dict[str, Any] = {
        "optimizer": OptimizerSettings(1e-2, 0.0),
        "batch_size": 32,
        "max_epochs": 12,
        "patience": 16,
        "seed": 0,
        "device": "cpu",
        "show_progress": False,
    }
    return TrainingSettings(**(settings | changes))


def fit(**changes: Any) -> Trained:
    shape = small_shape(attention_dropout=0.1, ffn_dropout=0.1)
    return train(shape, make_rows(200, 0), make_settings(**changes))


def validation_loss(trained: Trained, rows: TrainingRows | None = None) -> float:
    rows = make_rows(200, 0) if rows is None else rows
    rows = rows.take(rows.held_out.any(dim=1).nonzero().flatten())
    with torch.inference_mode():
        prediction = trained.model(rows.cells).prediction
    return float(trained.model.loss.ensemble(prediction, rows.target, rows.held_out.float()).mean())


def test_the_best_weights_are_restored_and_training_stops_after_patience() -> None:
    rows = make_rows(200, 0)
    noise = replace(rows, target=torch.randn(200, 1, generator=torch.Generator().manual_seed(1)))
    shape = small_shape(attention_dropout=0.1, ffn_dropout=0.1)
    trained = train(shape, noise, make_settings(max_epochs=300, patience=3, optimizer=OptimizerSettings(3e-2, 0.0)))
    assert trained.n_epochs == trained.best_epoch + 3 < 300
    assert validation_loss(trained, noise) == pytest.approx(trained.best_loss, rel=1e-5)
    assert not trained.model.training


def test_the_average_of_the_weights_is_what_is_validated_and_kept() -> None:
    trained = fit(max_epochs=1, batch_size=200)
    torch.manual_seed(0)
    initial = TabAttnModel(small_shape(attention_dropout=0.1, ffn_dropout=0.1)).state_dict()
    moved = {
        name: (trained.model.state_dict()[name] - initial[name]).abs().max() for name in ("encoder.cls", "head.bias")
    }
    kept_of_the_initial_weights = (1 + 1) / (10 + 1)
    first_step_of_adam = 1e-2
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
    torch.testing.assert_close(trained.eval_attention[0], attention[rows.held_out].mean(dim=0))


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

    arguments = small_shape(), make_rows(200, 0), make_settings(max_epochs=1)
    before = state()
    train(*arguments)
    assert state() == before


def test_the_validation_loss_is_the_weighted_mean_over_all_batches() -> None:
    n_rows = 3 * MAX_VALIDATION_ROWS
    rows = make_rows(n_rows, 0)
    rows = replace(rows, weight=torch.linspace(1, 9, n_rows))
    trained = train(small_shape(), rows, make_settings(max_epochs=1))
    validation = rows.take(rows.held_out.any(dim=1).nonzero().flatten())
    assert len(validation) > MAX_VALIDATION_ROWS
    assert len(validation) % MAX_VALIDATION_ROWS, "the last batch is a smaller one"
    with torch.inference_mode():
        outputs = trained.model(validation.cells).prediction
        losses = trained.model.loss.ensemble(outputs, validation.target, validation.held_out.float())
    expected = float((losses * validation.weight).sum() / validation.weight.sum())
    assert trained.best_loss == pytest.approx(expected, rel=1e-5)


def test_what_every_member_holds_out_is_never_learned() -> None:
    rows = make_rows(200, 0)
    rows = replace(rows, held_out=(torch.arange(200)[:, None] < 50).expand(-1, 3))
    other = replace(rows, target=torch.where(rows.held_out[:, :1], 1e6, rows.target))
    first, second = (train(small_shape(), each, make_settings(max_epochs=1)) for each in (rows, other))
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
    both = TrainingRows(
        Cells(torch.cat([rows.cells.numeric] * 2), torch.cat([rows.cells.codes] * 2), None),
        torch.cat([rows.target, -rows.target]),
        torch.cat([rows.weight, torch.full((200,), 1e-6)]),
        torch.cat([rows.held_out] * 2),
    )
    shape = small_shape(attention_dropout=0.1, ffn_dropout=0.1)
    assert validation_loss(train(shape, both, make_settings())) < 0.5


def test_progress_goes_to_the_error_stream_only(capsys: pytest.CaptureFixture[str]) -> None:
    fit(max_epochs=2, show_progress=True)
    assert capsys.readouterr().out == ""
    fit(max_epochs=2)
    assert capsys.readouterr() == ("", "")


def test_large_gradients_are_scaled_down_together(monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []
    original = TrainingModule.on_before_optimizer_step

    def noted(self: TrainingModule, optimizer: torch.optim.Optimizer) -> None:
        gradients = [each.grad for group in optimizer.param_groups for each in group["params"] if each.grad is not None]
        norms.append(float(torch.stack([each.norm() for each in gradients]).norm()))
        original(self, optimizer)

    monkeypatch.setattr(TrainingModule, "on_before_optimizer_step", noted)
    rows = make_rows(200, 0)
    train(small_shape(), replace(rows, target=1e4 * rows.target), make_settings(max_epochs=2))
    assert norms == pytest.approx([MAX_GRADIENT_NORM] * len(norms), rel=1e-3)
