"""The scoring methods by name: what each reads from some rows.

All answer alike: the share of each member in the score of each row and column, or unit of columns. The sum over members
is the local score of the row, its mean over rows the global one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tabattn.importance.aggregation import join
from tabattn.importance.anatomy import anatomy_of
from tabattn.importance.background import Background
from tabattn.importance.contribution import contribution_scores
from tabattn.importance.knockout import knockout_scores
from tabattn.nn.losses import Target
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells

Method = Literal["contribution", "knockout", "gradient", "norm", "mean", "rollout"]
DEFAULT_METHOD: Method = "contribution"
KNOCKOUT_STRIDE = 4


@dataclass(frozen=True)
class Question:
    """Rows to be scored, and what they are compared with.

    Args:
        cells: The rows.
        target: As the loss takes it; None to take the target to be as the model predicts.
        judges: Weight of each member in each row, not all zero in any row.
        background: Returns the rows to compare with; called only by the methods that compare.
        partners: Numbers of the background rows that each row is compared with; "knockout", which needs fewer, looks at
            every fourth.
        units: The unit of each column, from 0 on, where some are scored as one; None where none are.
    """

    cells: Cells
    target: Target | None
    judges: Float[Tensor, "batch member"]
    background: Callable[[], Background]
    partners: Int[Tensor, "batch partner"]
    units: Int[Tensor, " column"] | None = None


def _divide(scores: Float[Tensor, "batch member column"], question: Question) -> Tensor:
    share = question.judges / question.judges.sum(dim=1, keepdim=True)
    return join(scores * share[..., None], question.units)


def _contribution(model: TabAttnModel, question: Question) -> Tensor:
    partners, asked = question.partners, (question.cells, question.target, question.judges, question.units)
    return contribution_scores(model, question.background(), partners, *asked)


def _knockout(model: TabAttnModel, question: Question) -> Tensor:
    partners = question.partners[:, ::KNOCKOUT_STRIDE]
    asked = (question.cells, question.target, question.judges, question.units)
    return knockout_scores(model, question.background(), partners, *asked)


def gradient_scores(model: TabAttnModel, question: Question) -> Float[Tensor, "batch member unit"]:
    """Score columns by the length of attention times its gradient, summed over layers and heads.

    Args:
        model: The model.
        question: The rows. Without a target the gradient is that of the prediction (numbers, log rates, or the log
            probability of the most probable class) instead of the loss.

    Returns:
        The share of each member in the score of each row and unit, not negative.

    Source: Chefer et al. 2021 (arXiv 2103.15679), section 3; without its clamp, so that columns that speak against the
        target count too.
    """
    anatomy, tokens = anatomy_of(model), model.embed(question.cells)
    with torch.enable_grad():
        read = anatomy.dissect(tokens)
        if question.target is None:
            objective = model.loss.belief(model.loss.average(read.prediction, question.judges)).sum()
        else:
            objective = model.loss.ensemble(read.prediction, question.target, question.judges).sum()
    return join(anatomy.attributed(objective, read, tokens), question.units)


def _norm(model: TabAttnModel, question: Question) -> Tensor:
    return _divide(anatomy_of(model).norm(model.embed(question.cells)), question)


def _mean(model: TabAttnModel, question: Question) -> Tensor:
    return _divide(anatomy_of(model).mean(model.embed(question.cells)), question)


def _rollout(model: TabAttnModel, question: Question) -> Tensor:
    return _divide(anatomy_of(model).rollout(model.embed(question.cells)), question)


METHODS: Mapping[Method, Callable[[TabAttnModel, Question], Tensor]] = {
    "contribution": _contribution,
    "knockout": _knockout,
    "gradient": gradient_scores,
    "norm": _norm,
    "mean": _mean,
    "rollout": _rollout,
}
