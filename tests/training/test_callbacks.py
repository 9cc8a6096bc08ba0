"""When training stops, and how it starts; with a trainer that only plays back losses."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tabattn.training.callbacks import StopEarly, WarmUp
from tabattn.training.module import TRIMMED_LOSS, VALIDATION_LOSS


class Playback:
    """A trainer as far as callbacks look at it."""

    def __init__(self, rates: Sequence[float] = (), n_batches: int = 100) -> None:
        self.callback_metrics: dict[str, float] = {}
        self.current_epoch, self.global_step, self.should_stop, self.num_training_batches = 0, 0, False, n_batches
        parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in rates]
        groups = [{"params": [each], "lr": rate} for each, rate in zip(parameters, rates, strict=True)]
        self.optimizers = [torch.optim.SGD(groups)] if groups else []


def n_epochs(
    losses: Sequence[float], trimmed: Sequence[float] | None = None, patience: int = 16, n_batches: int = 100
) -> int:
    """How many epochs there are until training stops, if the losses are these; the loss of a constant is 1."""
    stop, trainer = StopEarly(patience, 5, constant_loss=1.0), Playback(n_batches=n_batches)
    stop.on_train_start(trainer, None)  # type: ignore[arg-type]
    for epoch, loss in enumerate(losses):
        trainer.current_epoch = epoch
        trainer.callback_metrics = {VALIDATION_LOSS: loss, TRIMMED_LOSS: loss if trimmed is None else trimmed[epoch]}
        stop.on_validation_end(trainer, None)  # type: ignore[arg-type]
        if trainer.should_stop:
            return epoch + 1
    return len(losses)


@pytest.mark.parametrize(("best", "waited"), [(1, 5), (8, 5), (12, 6), (20, 10), (40, 16), (60, 16)])
def test_the_later_the_best_epoch_the_longer_it_is_waited_for_a_better_one(best: int, waited: int) -> None:
    falling = [0.9 - 0.01 * epoch for epoch in range(best)]
    assert n_epochs(falling + [falling[-1]] * 100) == best + waited


@pytest.mark.parametrize("patience", [1, 3, 7])
def test_patience_is_the_most_that_is_waited(patience: int) -> None:
    falling = [0.9 - 0.01 * epoch for epoch in range(40)]
    assert n_epochs(falling + [0.9] * 100, patience=patience) == 40 + patience


def test_gains_below_a_thousandth_of_a_constants_loss_do_not_count_but_add_up() -> None:
    assert n_epochs([0.5 - 1e-4 * epoch for epoch in range(100)]) == 1 + 5
    assert n_epochs([0.5 - 3e-4 * epoch for epoch in range(100)]) == 100


def test_training_goes_on_while_all_but_the_worst_rows_get_much_better() -> None:
    stuck = [0.3] * 100
    assert n_epochs(stuck, [0.01 * 0.97**epoch for epoch in range(100)]) > 60
    assert n_epochs(stuck, [0.01 * 0.999**epoch for epoch in range(100)]) == 1 + 5
    assert n_epochs(stuck, [1e-4 * 0.9**epoch for epoch in range(100)]) == 1 + 5, "nearly none is left"


@pytest.mark.parametrize(("n_batches", "waited"), [(1, 16), (2, 16), (3, 14), (5, 8), (8, 5), (100, 5)])
def test_forty_steps_are_waited_for_where_an_epoch_has_few(n_batches: int, waited: int) -> None:
    assert n_epochs([0.5] * 100, n_batches=n_batches) == 1 + waited


def test_a_model_that_has_learned_nothing_yet_is_waited_for_as_long_as_allowed() -> None:
    assert n_epochs([0.99] * 100) == 1 + 16
    late = [0.99] * 14 + [0.5] * 100
    assert n_epochs(late) == 15 + 7, "half of the epochs until the best one"
    assert n_epochs([0.97] * 100) == 1 + 5


def test_training_stops_at_once_where_the_loss_is_not_finite() -> None:
    assert n_epochs([0.5, float("nan"), 0.4]) == 2


@given(st.integers(1, 40), st.integers(1, 9), st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=3))
def test_rates_rise_in_equal_parts_and_stay(n_most: int, n_batches: int, rates: list[float]) -> None:
    trainer, warm_up, n_steps = Playback(rates, n_batches), WarmUp(n_most, 4), min(n_most, 4 * n_batches)
    module: Any = None
    warm_up.on_train_start(trainer, module)  # type: ignore[arg-type]
    for step in range(n_steps + 5):
        trainer.global_step = step
        warm_up.on_train_batch_start(trainer, module, None, step)  # type: ignore[arg-type]
        fraction = min(1.0, (step + 1) / n_steps)
        found = [group["lr"] for group in trainer.optimizers[0].param_groups]
        assert found == pytest.approx([fraction * rate for rate in rates])
