"""Losses of rows and members, and of the ensemble that members make together."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss


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
    """The loss of the averaged prediction.

    Args:
        prediction: As for `row_losses`.
        target: As for `row_losses`.
        judges: Weight of each member in the average of a row, not all zero in any row.

    Returns:
        One loss per row, in the same units.
    """
    is_regression = target.is_floating_point()
    averaged = average_members(prediction, judges, is_regression=is_regression)
    if is_regression:
        return (averaged.squeeze(-1) - target).square()
    return -averaged.gather(1, target[:, None]).squeeze(1).clamp_min(torch.finfo(averaged.dtype).tiny).log()


def average_members(
    prediction: Float[Tensor, "batch member output"],
    judges: Float[Tensor, "batch member"] | None = None,
    *,
    is_regression: bool,
) -> Float[Tensor, "batch output"]:
    """Average numbers, or class probabilities (not logits), over members.

    Args:
        prediction: Numbers or logits of each member.
        judges: Weight of each member in the average of a row, not all zero in any row; None for equal weights.
        is_regression: True for numbers.

    Returns:
        The prediction of the ensemble.
    """
    values = prediction if is_regression else prediction.softmax(dim=-1)
    if judges is None:
        return values.mean(dim=1)
    share = judges * (judges.shape[1] / judges.sum(dim=1, keepdim=True))
    return (values * share[..., None]).mean(dim=1)
