"""The LightningModule: a thin wrapper that calls the model and returns its loss and attention."""

from dataclasses import dataclass
from typing import Any

import lightning
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from tabattn.nn.model import TabAttnModel
from tabattn.training.data import Rows

VALIDATION_LOSS = "validation_loss"


@dataclass(frozen=True)
class OptimizerSettings:
    """Settings of AdamW.

    Args:
        learning_rate: Step size, positive.
        weight_decay: Decoupled weight decay of weight matrices, not negative.
    """

    learning_rate: float
    weight_decay: float


class TrainingModule(lightning.LightningModule):
    """Train every member on its own loss; validate the average of all members.

    Args:
        model: The model.
        optimizer: Settings of the optimizer.
    """

    def __init__(self, model: TabAttnModel, optimizer: OptimizerSettings) -> None:
        super().__init__()
        self.model = model
        self._optimizer = optimizer

    def training_step(self, batch: Rows, batch_idx: int) -> dict[str, Tensor]:
        """Return the weighted mean loss over rows and members, and the attention paid to each column."""
        output = self.model(batch.cells)
        member_losses = row_losses(output.prediction, batch.target)
        loss = (member_losses.mean(dim=1) * batch.weight).sum() / batch.weight.sum()
        return {"loss": loss, "attention": column_attention(output.attention)}

    def validation_step(self, batch: Rows, batch_idx: int) -> dict[str, Tensor]:
        """Log the loss of the averaged members and return the attention paid to each column."""
        output = self.model(batch.cells)
        loss = (ensemble_losses(output.prediction, batch.target) * batch.weight).sum() / batch.weight.sum()
        self.log(VALIDATION_LOSS, loss, on_epoch=True, on_step=False, batch_size=len(batch))
        return {"attention": column_attention(output.attention)}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Decay weight matrices only: neither biases nor the vectors of columns, levels, missing cells and CLS."""
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        for name, parameter in self.model.named_parameters():
            is_matrix = not (name.startswith("tokens") or name.endswith("bias") or name == "encoder.cls")
            (decayed if is_matrix else free).append(parameter)
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": self._optimizer.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self._optimizer.learning_rate, fused=True)


def row_losses(
    prediction: Float[Tensor, "batch member output"], target: Shaped[Tensor, " batch"]
) -> Float[Tensor, "batch member"]:
    """Squared error of numbers, cross-entropy of class codes, for each row and member.

    Args:
        prediction: One output for a float target, one logit per class for an integer target.
        target: Float for regression, integer for classification.

    Returns:
        Non-negative losses, in squared standard deviations of the target or in nats.
    """
    n_members = prediction.shape[1]
    repeated = target[:, None].expand(-1, n_members)
    if target.is_floating_point():
        return mse_loss(prediction.squeeze(-1), repeated, reduction="none")
    return cross_entropy(prediction.transpose(1, 2), repeated, reduction="none")


def ensemble_losses(
    prediction: Float[Tensor, "batch member output"], target: Shaped[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """The loss of the averaged prediction: numbers are averaged, and probabilities, not logits.

    Args:
        prediction: As for `row_losses`.
        target: As for `row_losses`.

    Returns:
        One loss per row, in the same units.
    """
    averaged = average_members(prediction, is_regression=target.is_floating_point())
    if target.is_floating_point():
        return (averaged.squeeze(-1) - target).square()
    return -averaged.gather(1, target[:, None]).squeeze(1).clamp_min(torch.finfo(averaged.dtype).tiny).log()


def average_members(
    prediction: Float[Tensor, "batch member output"], *, is_regression: bool
) -> Float[Tensor, "batch output"]:
    """Average numbers, or class probabilities, over members.

    Args:
        prediction: Numbers or logits of each member.
        is_regression: True for numbers.

    Returns:
        The prediction of the ensemble.
    """
    return prediction.mean(dim=1) if is_regression else prediction.softmax(dim=-1).mean(dim=1)


def column_attention(attention: tuple[Float[Tensor, "batch member head column"], ...]) -> Float[Tensor, " column"]:
    """Attention summed over rows, averaged over members, heads and layers.

    Args:
        attention: Weights layer by layer.

    Returns:
        One number per column; they sum to the number of rows.
    """
    per_layer = [weights.detach().mean(dim=(1, 2)).sum(dim=0) for weights in attention]
    return torch.stack(per_layer).mean(dim=0)
