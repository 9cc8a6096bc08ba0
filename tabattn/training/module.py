"""The LightningModule: a thin wrapper that calls the model and returns its loss and attention."""

from typing import Any

import lightning
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tabattn.nn.losses import Target
from tabattn.nn.model import ModelOutput, TabAttnModel
from tabattn.training.data import TrainingRows
from tabattn.training.settings import OptimizerSettings

TRAINING_LOSS, VALIDATION_LOSS, TRIMMED_LOSS = "training_loss", "validation_loss", "trimmed_validation_loss"
HALF_LOSSES = ("validation_loss_of_first_half", "validation_loss_of_second_half")
TRIMMED_FRACTION = 0.01
TINY = torch.finfo(torch.float32).tiny


class HeldOutPredictions:
    """The averaged predictions of rows by the members that hold them out, collected batch by batch.

    Args:
        rows: All rows.
        n_members: How many members hold each of them out.
        half: Which half of the held-out rows each of them is in.
    """

    def __init__(self, rows: TrainingRows, n_members: Int[Tensor, " row"], half: Bool[Tensor, " row"]) -> None:
        self._chosen = n_members.nonzero().flatten()
        self._n_members = n_members[self._chosen, None]
        self._target: Target = rows.target[self._chosen]
        weight = rows.weight[self._chosen]
        self._weight = weight / weight.mean()
        self._half = half[self._chosen]
        place = n_members.clamp_max(1).cumsum(dim=0) - 1
        self._place = torch.cat([place, place.new_tensor([len(self._chosen)])])  # rows that do not count come last
        self._sums: Tensor | None = None

    def add(self, module: TabAttnModel, outputs: Float[Tensor, "batch member output"], batch: TrainingRows) -> None:
        """Add predictions of a batch.

        Args:
            module: The model.
            outputs: Its outputs.
            batch: The rows, for each group of members.
        """
        values = module.loss.natural(outputs.float()).unflatten(1, (len(batch.number), -1)).sum(dim=2)
        if self._sums is None:
            self._sums = values.new_zeros(len(self._chosen) + 1, values.shape[-1])
        for group, rows in enumerate(batch.number):  # no row that counts is twice in a group: sums in a fixed order
            self._sums[self._place[rows]] += values[:, group]

    def losses(self, module: TabAttnModel) -> tuple[Tensor, Tensor, Tensor]:
        """Return the weighted mean loss of the rows, that of all but the worst hundredth, and those of both halves.

        The predictions are forgotten.

        Args:
            module: The model.
        """
        assert self._sums is not None, "an epoch has at least one batch"
        averaged, self._sums = self._sums[:-1] / self._n_members, None
        losses = module.loss.of_average(averaged, self._target)
        weighted = losses * self._weight
        n_kept = len(losses) - int(TRIMMED_FRACTION * len(losses))
        kept = losses.argsort()[:n_kept]
        halves = torch.stack([weighted[self._half == half].sum() for half in (False, True)])
        return weighted.mean(), weighted[kept].sum() / len(losses), halves / len(losses)


class TrainingModule(lightning.LightningModule):
    """Train every member on the rows that it does not hold out; validate on each row those members that do.

    Args:
        model: The model.
        optimizer: Settings of the optimizer.
        held_out: Collects the predictions of the validation rows.
    """

    def __init__(self, model: TabAttnModel, optimizer: OptimizerSettings, held_out: HeldOutPredictions) -> None:
        super().__init__()
        self.model = model
        self._optimizer = optimizer
        self._held_out = held_out

    def training_step(self, batch: TrainingRows, batch_idx: int) -> dict[str, Tensor]:
        """Return the weighted mean loss over rows and members, and the attention paid to each column."""
        output = self.model(batch.cells)
        by_group = output.prediction.unflatten(1, (len(batch.number), -1)).transpose(0, 1).flatten(0, 1)
        losses = self.model.loss.of_members(by_group, batch.target.flatten(0, 1)).mean(dim=1)
        weight = batch.weight.flatten()
        loss = (losses * weight).sum() / weight.sum().clamp_min(TINY)
        if self._trainer is not None and self.trainer.loggers:
            self.log(TRAINING_LOSS, loss, on_step=False, on_epoch=True)
        return {"loss": loss, **_attention_of(output)}

    def validation_step(self, batch: TrainingRows, batch_idx: int) -> dict[str, Tensor]:
        """Predict rows that are held out, and return the attention paid to each column."""
        output = self.model(batch.cells)
        self._held_out.add(self.model, output.prediction, batch)
        return _attention_of(output)

    def on_validation_epoch_end(self) -> None:
        """Log the losses of the average of the members that hold a row out."""
        loss, trimmed, halves = self._held_out.losses(self.model)
        self.log(VALIDATION_LOSS, loss)
        self.log(TRIMMED_LOSS, trimmed)
        for name, half in zip(HALF_LOSSES, halves, strict=True):
            self.log(name, half)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Decay the weight matrices of the encoder and the head: neither tokens, nor biases, nor the CLS vectors."""
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        for name, parameter in self.model.named_parameters():
            is_matrix = not (
                name.startswith("tokens") or name.endswith(("bias", ".cls")) or name == "encoder.body.query"
            )
            (decayed if is_matrix else free).append(parameter)
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": self._optimizer.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self._optimizer.learning_rate, fused=True)


def _attention_of(output: ModelOutput) -> dict[str, Tensor]:
    n_rows, n_members = output.attention[0].shape[:2]
    return {
        "attention": column_attention(output.attention),
        "n_counted": torch.tensor(n_rows * n_members, device=output.prediction.device),
    }


def column_attention(attention: tuple[Float[Tensor, "batch member head column"], ...]) -> Float[Tensor, " column"]:
    """Attention summed over rows and members, averaged over heads and layers.

    Args:
        attention: Weights layer by layer.

    Returns:
        One number per column; their sum is the number of rows times that of members.
    """
    with torch.autocast(attention[0].device.type, enabled=False):
        per_layer = [weights.detach().float().sum(dim=(0, 1, 2)) for weights in attention]
        return torch.stack(per_layer).mean(dim=0) / attention[0].shape[2]
