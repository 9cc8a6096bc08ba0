"""The LightningModule: a thin wrapper that calls the model and returns its loss and attention."""

from dataclasses import dataclass
from typing import Any

import lightning
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tabattn.nn.model import ModelOutput, TabAttnModel
from tabattn.training.data import TrainingRows

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

    def training_step(self, batch: TrainingRows, batch_idx: int) -> dict[str, Tensor]:
        """Return the weighted mean loss over rows and members, and the attention paid to each column."""
        output = self.model(batch.cells)
        learns = (~batch.held_out).float()
        weight = learns * batch.weight[:, None]
        loss = (self.model.loss.of_members(output.prediction, batch.target) * weight).sum() / weight.sum().clamp_min(
            TINY
        )
        return {"loss": loss, **_attention_of(output, learns)}

    def validation_step(self, batch: TrainingRows, batch_idx: int) -> dict[str, Tensor]:
        """Log the loss of the average of the members that hold a row out, and return the attention that they pay."""
        output = self.model(batch.cells)
        member_weight = batch.held_out.float()
        loss = (self.model.loss.ensemble(output.prediction, batch.target, member_weight) * batch.weight).mean()
        self.log(VALIDATION_LOSS, loss, on_epoch=True, on_step=False, batch_size=len(batch))
        return _attention_of(output, member_weight)

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


def _attention_of(output: ModelOutput, counted: Tensor) -> dict[str, Tensor]:
    return {"attention": column_attention(output.attention, counted), "n_counted": counted.sum()}


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
