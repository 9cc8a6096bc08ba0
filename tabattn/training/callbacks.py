"""Callbacks of training: record attention, keep the best weights, warm up, stop, tell how far it is."""

import copy
import math
from typing import Any, Literal

import lightning
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tabattn.nn.model import TabAttnModel
from tabattn.progress import Phase
from tabattn.training.data import TrainingRows
from tabattn.training.module import TRIMMED_LOSS, VALIDATION_LOSS

Mode = Literal["train", "eval"]
PREFIX = "model."
MIN_GAIN, MIN_TRIMMED_GAIN, MIN_RELATIVE_GAIN = 1e-3, 2e-4, 0.02
MIN_STEPS_WAITED, MIN_LEARNED = 40, 0.02


class AttentionHistory(lightning.Callback):
    """Record the mean attention that CLS pays each column, epoch by epoch, in train mode and in eval mode.

    In train mode (dropout on) it is averaged over the rows that each member learns from, in eval mode over those that
    it holds out.
    """

    def __init__(self) -> None:
        self._sums: dict[Mode, tuple[Tensor, Tensor] | None] = {"train": None, "eval": None}
        self.epochs: dict[Mode, list[Tensor]] = {"train": [], "eval": []}

    def state_dict(self) -> dict[str, Any]:
        """Return what was recorded."""
        return {"sums": dict(self._sums), "epochs": {mode: list(each) for mode, each in self.epochs.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with what was recorded."""
        self._sums, self.epochs = dict(state_dict["sums"]), {m: list(e) for m, e in state_dict["epochs"].items()}

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: TrainingRows, batch_idx: int
    ) -> None:
        """Add the attention of a training batch."""
        self._add("train", outputs)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: TrainingRows, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Add the attention of a validation batch."""
        self._add("eval", outputs)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the epoch in both modes; Lightning validates before it calls this."""
        for mode in self.epochs:
            total = self._sums[mode]
            assert total is not None, "an epoch has at least one batch of either kind"
            attention, n_counted = total
            self.epochs[mode].append((attention / n_counted).cpu())
            self._sums[mode] = None

    def _add(self, mode: Mode, outputs: dict[str, Tensor]) -> None:
        total = self._sums[mode]
        attention, n_counted = outputs["attention"], outputs["n_counted"]
        if total is not None:
            attention, n_counted = total[0].to(attention.device) + attention, total[1].to(n_counted.device) + n_counted
        self._sums[mode] = (attention, n_counted)


class BestWeights(lightning.Callback):
    """Keep the weights of the epoch with the lowest loss in memory, and put them back at the end.

    Args:
        metric: The loss.
        is_kept: Whether they are put back; else they are there to be read only.
    """

    def __init__(self, metric: str = VALIDATION_LOSS, *, is_kept: bool = True) -> None:
        self.epoch = 0
        self.loss = float("inf")
        self._metric = metric
        self._is_kept = is_kept
        self._weights: dict[str, Tensor] | None = None

    @property
    def state_key(self) -> str:
        """Name of its state in a file."""
        return f"{type(self).__name__} of {self._metric}"

    def state_dict(self) -> dict[str, Any]:
        """Return the best epoch, its loss and its weights."""
        return {"epoch": self.epoch, "loss": self.loss, "weights": self._weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        self.epoch, self.loss, self._weights = state_dict["epoch"], state_dict["loss"], state_dict["weights"]

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the weights if they are the best so far."""
        loss = float(trainer.callback_metrics[self._metric])
        if loss < self.loss:
            self.epoch, self.loss = trainer.current_epoch, loss
            self._weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Put the best weights back."""
        if self._is_kept:
            self.restore(pl_module)

    def with_best_weights(self, model: TabAttnModel) -> TabAttnModel:
        """Return a copy of a model with the best weights, on the CPU and in eval mode.

        Args:
            model: The attribute `model` of the module that is trained; returned as it is if there are no best weights.
        """
        if self._weights is None:
            return model
        copied = copy.deepcopy(model).cpu().eval()
        weights = {name.removeprefix(PREFIX): each for name, each in self._weights.items() if name.startswith(PREFIX)}
        copied.load_state_dict(weights)
        return copied

    def restore(self, pl_module: lightning.LightningModule) -> None:
        """Put the best weights back, if there are any."""
        if self._weights is not None:
            pl_module.load_state_dict(self._weights)


class AverageWeights(lightning.Callback):
    """Validate, and so keep, an exponential moving average of the weights instead of the weights of the last step.

    The average forgets faster at first: after step t it keeps ``min(decay, (1 + t) / (10 + t))`` of its last value. Put
    this callback after `BestWeights`, which looks at the weights before they are swapped back.

    Args:
        decay: Fraction of the average that is kept at every step.

    Source: Izmailov et al. 2018 (arXiv 1803.05407) for the averaging of weights; the warm-up is TensorFlow's
        `ExponentialMovingAverage`. Lightning's `WeightAveraging` puts the last average back at the end of training, not
        the one of the best epoch, so it can't be used here.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._average: list[Tensor] = []
        self._n_steps = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the average, and the number of steps behind it."""
        return {"average": self._average, "n_steps": self._n_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        self._average, self._n_steps = list(state_dict["average"]), state_dict["n_steps"]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start from the initial weights, or go on with the average."""
        parameters = [parameter.detach() for parameter in pl_module.parameters()]
        before = self._average or [parameter.clone() for parameter in parameters]
        self._average = [each.to(parameter.device) for each, parameter in zip(before, parameters, strict=True)]

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: TrainingRows, batch_idx: int
    ) -> None:
        """Move the average towards the weights."""
        self._n_steps += 1
        kept = min(self._decay, (1 + self._n_steps) / (10 + self._n_steps))
        current = [parameter.detach() for parameter in pl_module.parameters()]
        get_ema_multi_avg_fn(kept)(self._average, current, self._n_steps)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Put the average in."""
        self._swap(pl_module)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Put the weights back."""
        self._swap(pl_module)

    def _swap(self, pl_module: lightning.LightningModule) -> None:
        for i, parameter in enumerate(pl_module.parameters()):
            parameter.data, self._average[i] = self._average[i], parameter.data


class WarmUp(lightning.Callback):
    """Raise the learning rate in equal parts over the first steps.

    Args:
        n_steps: Steps until the full rate.
        n_epochs: Epochs until the full rate, where these are fewer steps.

    Source: Goyal et al. 2017 (arXiv 1706.02677), section 2.2.
    """

    def __init__(self, n_steps: int, n_epochs: int) -> None:
        self._n_steps = n_steps
        self._n_epochs = n_epochs
        self._rates: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the full rates."""
        return {"rates": self._rates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        self._rates = list(state_dict["rates"])

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note the full rates, and how long an epoch is."""
        self._n_steps = min(self._n_steps, self._n_epochs * int(trainer.num_training_batches))
        self._rates = self._rates or [group["lr"] for group in trainer.optimizers[0].param_groups]

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: TrainingRows, batch_idx: int) -> None:
        """Set the rate of the step."""
        fraction = min(1.0, (trainer.global_step + 1) / self._n_steps)
        for group, rate in zip(trainer.optimizers[0].param_groups, self._rates, strict=True):
            group["lr"] = fraction * rate


class StopEarly(lightning.Callback):
    """Stop where the validation loss no longer falls, with and without its worst rows.

    The later the best epoch, the longer the wait for a better one: half as many epochs as there were until then. A few
    rows with extreme targets can hide for long that all others are still getting much better, so both losses must stand
    still. As long as the loss is not 2 % below that of a constant, it is waited for as long as allowed: what acts in
    pairs only, among many idle columns, is found late and at once (Syn1 of INVASE with 100 columns).

    Args:
        patience: Epochs without a better loss that are waited for at most.
        min_patience: The same, at least; more where an epoch has so few steps that there are not 40 until then.
        constant_loss: The loss of a constant. A thousandth of it is the least gain that counts; without the worst rows
            a 5,000th of it, and 2 % of the loss.
    """

    def __init__(self, patience: int, min_patience: int, constant_loss: float) -> None:
        self._patience = patience
        self._min_patience = min_patience
        self._constant_loss = constant_loss
        self._best_losses = {VALIDATION_LOSS: math.inf, TRIMMED_LOSS: math.inf}
        self._best_epoch = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the best losses and their epoch."""
        return {"best_losses": dict(self._best_losses), "best_epoch": self._best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        self._best_losses, self._best_epoch = dict(state_dict["best_losses"]), state_dict["best_epoch"]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Wait for enough steps, too, where an epoch has few."""
        self._min_patience = max(self._min_patience, -(-MIN_STEPS_WAITED // int(trainer.num_training_batches)))

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop if it has been waited for long enough, or if the loss is not finite."""
        losses = {name: float(trainer.callback_metrics[name]) for name in self._best_losses}
        min_gains = {
            VALIDATION_LOSS: MIN_GAIN * self._constant_loss,
            TRIMMED_LOSS: max(MIN_TRIMMED_GAIN * self._constant_loss, MIN_RELATIVE_GAIN * losses[TRIMMED_LOSS]),
        }
        for name, loss in losses.items():
            if loss < self._best_losses[name] - min_gains[name]:
                self._best_losses[name], self._best_epoch = loss, trainer.current_epoch
        has_learned = self._best_losses[VALIDATION_LOSS] < (1 - MIN_LEARNED) * self._constant_loss
        shortest = self._min_patience if has_learned else self._patience
        wait = min(self._patience, max(shortest, (self._best_epoch + 1) // 2))
        is_finite = math.isfinite(losses[VALIDATION_LOSS])
        if not is_finite or trainer.current_epoch - self._best_epoch >= wait:
            trainer.should_stop = True


class ClippedGradients(lightning.Callback):
    """Scale all gradients down together to a norm before each step.

    Lightning's own clipping raises in mixed precision with a fused optimizer, because gradients could be scaled up; in
    bfloat16 none are.

    Args:
        max_norm: The largest norm.
    """

    def __init__(self, max_norm: float) -> None:
        self._max_norm = max_norm

    def on_before_optimizer_step(self, trainer: Any, pl_module: lightning.LightningModule, optimizer: Any) -> None:
        """Scale the gradients."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, self._max_norm)


class WatchTime(lightning.Callback):
    """Tell after each epoch how far the training is, and end it when its time is over, also within an epoch.

    Args:
        phase: The training, with a step for each epoch.

    Attributes:
        has_ended_it: Whether it did.
    """

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self.has_ended_it = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Count the epochs of a training that goes on."""
        self._phase.n_done = trainer.current_epoch

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: TrainingRows, batch_idx: int
    ) -> None:
        """End the training if the time is over; Lightning validates before it ends."""
        if trainer.world_size == 1:
            self._end_if_over(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Tell how far it is, and go on only if there is time."""
        metrics = trainer.callback_metrics
        self._phase.advance(f"validation loss {float(metrics[VALIDATION_LOSS]):.4g}" if metrics else "")
        self._end_if_over(trainer)

    def _end_if_over(self, trainer: lightning.Trainer) -> None:
        is_over = self._phase.left <= 0
        if trainer.world_size > 1:  # all processes stop after the same epoch
            is_over = trainer.strategy.reduce_boolean_decision(is_over, all=False)
        if is_over and not trainer.should_stop:
            trainer.should_stop = self.has_ended_it = True
