"""The scoring methods by name: what each reads from some rows.

All return the part of each member in the score of each row and column, or unit of columns. The sum over members
is the local score of the row, its mean over rows the global one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tabattn.choices import Method
from tabattn.importance.aggregation import join
from tabattn.importance.background import Background
from tabattn.importance.contribution import contribution_scores
from tabattn.importance.probes import probe_of
from tabattn.importance.shapley import shapley_scores
from tabattn.importance.swap import conditional_scores, swap_scores
from tabattn.nn.losses import Target
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells


@dataclass(frozen=True)
class ScoringInputs:
    """Rows to be scored, and what they are compared with.

    Args:
        cells: The rows.
        target: As the loss takes it; None to take the prediction as the target.
        member_weight: Weight of each member in each row, not all zero in any row.
        background: Returns the background rows; called only by the methods that compare.
        baseline_rows: Indices of the background rows that each row is compared with.
        draws: Returns draws of the rows' cells, each given the others of its row; called by "conditional" only.
        orders: Returns for each row the places of its units in some random orders, for "contribution" one for each
            background row; called by it and by "shapley" only.
        units: The unit of each column, from 0 on, where some are scored as one; None where every column is a unit.
    """

    cells: Cells
    target: Target | None
    member_weight: Float[Tensor, "batch member"]
    background: Callable[[], Background]
    baseline_rows: Int[Tensor, "batch baseline"]
    draws: Callable[[], Sequence[Cells]]
    orders: Callable[[], Int[Tensor, "batch order unit"]]
    units: Int[Tensor, " column"] | None = None


def _divide(scores: Float[Tensor, "batch member column"], inputs: ScoringInputs) -> Tensor:
    fraction = inputs.member_weight / inputs.member_weight.sum(dim=1, keepdim=True)
    return join(scores * fraction[..., None], inputs.units)


def _contribution(model: TabAttnModel, inputs: ScoringInputs) -> Tensor:
    rest = (inputs.cells, inputs.target, inputs.member_weight, inputs.orders(), inputs.units)
    return contribution_scores(model, inputs.background(), inputs.baseline_rows, *rest)


def _swap(model: TabAttnModel, inputs: ScoringInputs) -> Tensor:
    rest = (inputs.cells, inputs.target, inputs.member_weight, inputs.units)
    return swap_scores(model, inputs.background(), inputs.baseline_rows, *rest)


def _conditional(model: TabAttnModel, inputs: ScoringInputs) -> Tensor:
    return conditional_scores(model, inputs.draws(), inputs.cells, inputs.target, inputs.member_weight, inputs.units)


def _shapley(model: TabAttnModel, inputs: ScoringInputs) -> Tensor:
    rest = (inputs.cells, inputs.target, inputs.member_weight, inputs.units)
    return shapley_scores(model, inputs.background(), inputs.baseline_rows, inputs.orders(), *rest)


def gradient_scores(model: TabAttnModel, inputs: ScoringInputs) -> Float[Tensor, "batch member unit"]:
    """Score columns by the absolute value of attention times its gradient, summed over layers and heads.

    Args:
        model: The model.
        inputs: The rows. Without a target the gradient is that of the prediction (numbers, log rates, or the log
            probability of the most probable class) instead of the loss.

    Returns:
        The part of each member in the score of each row and unit, not negative.

    Source: Chefer et al. 2021 (arXiv 2103.15679), section 3; without its clamp at 0, so that columns whose gradient is
        negative count too.
    """
    probe, tokens = probe_of(model), model.embed(inputs.cells)
    with torch.enable_grad():
        read = probe.trace(tokens)
        if inputs.target is None:
            objective = model.loss.self_target_objective(
                model.loss.average(read.prediction, inputs.member_weight)
            ).sum()
        else:
            objective = model.loss.ensemble(read.prediction, inputs.target, inputs.member_weight).sum()
    return join(probe.attributed(objective, read, tokens), inputs.units)


def _norm(model: TabAttnModel, inputs: ScoringInputs) -> Tensor:
    return _divide(probe_of(model).norm(model.embed(inputs.cells)), inputs)


def _mean(model: TabAttnModel, inputs: ScoringInputs) -> Tensor:
    return _divide(probe_of(model).mean(model.embed(inputs.cells)), inputs)


def _rollout(model: TabAttnModel, inputs: ScoringInputs) -> Tensor:
    return _divide(probe_of(model).rollout(model.embed(inputs.cells)), inputs)


METHODS: Mapping[Method, Callable[[TabAttnModel, ScoringInputs], Tensor]] = {
    "contribution": _contribution,
    "swap": _swap,
    "conditional": _conditional,
    "shapley": _shapley,
    "gradient": gradient_scores,
    "norm": _norm,
    "mean": _mean,
    "rollout": _rollout,
}
