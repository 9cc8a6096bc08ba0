"""What the loss is without a column.

The column leaves inside the attention. In every layer what a stream reads from it, its token times its weight, is
replaced by what is read from it on average; the other columns are read as before. So no attention is paid again, tokens
are embedded once, no value is invented, and no row is touched.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import cross_entropy

from tabattn.importance.contribution import Background
from tabattn.nn.encoder import Reading
from tabattn.nn.losses import average_members, ensemble_losses, row_losses
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells


def knockout_scores(
    model: TabAttnModel,
    background: Background,
    cells: Cells,
    target: Shaped[Tensor, " batch"] | None,
    judges: Float[Tensor, "batch member"],
) -> Float[Tensor, "batch member column"]:
    """Score columns by the rise of the loss without them.

    Args:
        model: The model.
        background: Rows that say what is read from a column on average.
        cells: Rows to read.
        target: Standardized numbers or class codes; None to take the target to be as the model predicts.
        judges: Weight of each member in the average of a row, not all zero in any row.

    Returns:
        The share of each member in the score of each row and column: the rise of its own loss, and an equal part of
        what that of the ensemble differs from the mean of these. Their sum is the score.

    Source: mean ablation, Wang et al. 2022 (arXiv 2211.00593), section 2.2; leaving columns out one by one, Lei et al.
        2018 (arXiv 1604.04173), section 6, without the refits.
    """
    tokens = model.embed(cells)
    whole, readings = model.trace(tokens)
    share = judges / judges.sum(dim=1, keepdim=True)
    own_losses, losses = _losses(whole, whole, target, judges)
    scores = []
    for column in range(model.shape.n_columns):
        without = model.take_in(
            _replace(reading, tokens, column, typical[:, :, column])
            for reading, typical in zip(readings, background.typical, strict=True)
        )
        own_without, losses_without = _losses(without, whole, target, judges)
        own = own_without - own_losses
        rise = losses_without - losses
        rest = rise - (own * share).sum(dim=1)
        scores.append(share * (own + rest[:, None]))
    return torch.stack(scores, dim=2)


def _replace(
    reading: Reading,
    tokens: Float[Tensor, "group batch column d"],
    column: int,
    typical: Float[Tensor, "group stream d"],
) -> Float[Tensor, "group_row stream d"]:
    """Return what the streams read if they read from one column what they do on average."""
    own = reading.weights[:, :, column, None] * tokens[:, :, column].flatten(0, 1)[:, None]
    return reading.mixture - own + typical.repeat_interleave(tokens.shape[1], dim=0)


def _losses(
    prediction: Float[Tensor, "batch member output"],
    whole: Float[Tensor, "batch member output"],
    target: Shaped[Tensor, " batch"] | None,
    judges: Float[Tensor, "batch member"],
) -> tuple[Float[Tensor, "batch member"], Float[Tensor, " batch"]]:
    """The losses of members and of the ensemble; without a target, as far as the whole model's belief goes."""
    if target is not None:
        return row_losses(prediction, target), ensemble_losses(prediction, target, judges)
    is_regression = prediction.shape[2] == 1
    averaged = average_members(prediction, judges, is_regression=is_regression)
    believed = average_members(whole, judges, is_regression=is_regression)
    if is_regression:
        return (prediction - whole).squeeze(-1).square(), (averaged - believed).squeeze(-1).square()
    own = cross_entropy(prediction.transpose(1, 2), whole.softmax(dim=-1).transpose(1, 2), reduction="none")
    return own, -(believed * averaged.clamp_min(torch.finfo(averaged.dtype).tiny).log()).sum(dim=1)
