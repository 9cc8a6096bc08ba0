"""The LightningModule: a thin wrapper that calls the model and returns its loss and attention."""

from dataclasses import dataclass
from typing import Any

import lightning
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from tabattn.nn.model import ModelOutput, TabAttnModel
from tabattn.training.data import Rows

VALIDATION_LOSS = "validation_loss"
TINY = torch.finfo(torch.float32).tiny


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
    """Train every member on the rows that it does not hold out; validate on each row those members that do.

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
        learns = (~batch.held_out).float()
        weight = learns * batch.weight[:, None]
        loss = (row_losses(output.prediction, batch.target) * weight).sum() / weight.sum().clamp_min(TINY)
        return {"loss": loss, **_attention_of(output, learns)}

    def validation_step(self, batch: Rows, batch_idx: int) -> dict[str, Tensor]:
        """Log the loss of the average of the members that hold a row out, and return the attention that they pay."""
        output = self.model(batch.cells)
        judges = batch.held_out.float()
        loss = (ensemble_losses(output.prediction, batch.target, judges) * batch.weight).mean()
        self.log(VALIDATION_LOSS, loss, on_epoch=True, on_step=False, batch_size=len(batch))
        return _attention_of(output, judges)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Decay the weight matrices of the encoder and the head: neither tokens, nor biases, nor the CLS vectors."""
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


def _attention_of(output: ModelOutput, counted: Tensor) -> dict[str, Tensor]:
    return {"attention": column_attention(output.attention, counted), "n_counted": counted.sum()}


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
    prediction: Float[Tensor, "batch member output"],
    target: Shaped[Tensor, " batch"],
    judges: Float[Tensor, "batch member"],
) -> Float[Tensor, " batch"]:
    """The loss of the averaged prediction: numbers are averaged, and probabilities, not logits.

    Args:
        prediction: As for `row_losses`.
        target: As for `row_losses`.
        judges: Weight of each member in the average of a row, not all zero in any row.

    Returns:
        One loss per row, in the same units.
    """
    share = judges * (judges.shape[1] / judges.sum(dim=1, keepdim=True))
    is_regression = target.is_floating_point()
    values = prediction if is_regression else prediction.softmax(dim=-1)
    averaged = (values * share[..., None]).mean(dim=1)
    if is_regression:
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


def column_attention(
    attention: tuple[Float[Tensor, "batch member head column"], ...], counted: Float[Tensor, "batch member"]
) -> Float[Tensor, " column"]:
    """Attention summed over the rows and members that count, averaged over heads and layers.

    Args:
        attention: Weights layer by layer.
        counted: 1 where the attention of a member to a row counts, else 0.

    Returns:
        One number per column; their sum is that of `counted`.
    """
    with torch.autocast(counted.device.type, enabled=False):
        per_layer = [torch.einsum("bmhc,bm->c", weights.detach().float(), counted.float()) for weights in attention]
        return torch.stack(per_layer).mean(dim=0) / attention[0].shape[2]
