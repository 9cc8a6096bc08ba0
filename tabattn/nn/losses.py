"""Losses: what a prediction costs, for each member, for the ensemble that members make together, and after a change.

A loss also defines what the outputs of a model mean. Members are averaged where averages mean something: numbers, rates
and probabilities, not logarithms of them. Changes are followed where they add up: numbers, logarithms of rates, log
odds and log probabilities, the *canonical* outputs.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid, softplus
from typing_extensions import override

LossName = Literal["squared", "squared_log", "absolute", "pinball", "poisson", "classes", "labels"]
Target: TypeAlias = Shaped[Tensor, "batch *target"]
Outputs: TypeAlias = Float[Tensor, "batch member output"]
ByMember: TypeAlias = Float[Tensor, "batch member"]
Averaged: TypeAlias = Float[Tensor, "batch output"]
Followed: TypeAlias = Int[Tensor, "batch followed"]
Changes: TypeAlias = Float[Tensor, "batch canonical column"]
Canonical: TypeAlias = Float[Tensor, "batch canonical"]
ByRow: TypeAlias = Float[Tensor, " batch"]
Limit: TypeAlias = Float[Tensor, "#batch canonical"]
ByColumn: TypeAlias = Float[Tensor, "batch column"]
Natural: TypeAlias = Float[Tensor, "*axes output"]
Errors: TypeAlias = Float[Tensor, "*axes"]
MAX_CLASSES_FOLLOWED = 3
LEAST_PROBABILITY = 1e-6


class Loss(ABC):
    """A loss with everything that depends on it.

    Targets are numbers of shape (batch, output), but for `ClassLoss`. The loss of several outputs is their mean.
    """

    @abstractmethod
    def natural(self, outputs: Natural) -> Natural:
        """Return what outputs of the model stand for: numbers, rates or probabilities."""

    @abstractmethod
    def of_members(self, outputs: Outputs, target: Target) -> ByMember:
        """Return the loss of each row and member.

        Args:
            outputs: Outputs of the model.
            target: In the form that the class documents.

        Returns:
            Losses, not negative but for Poisson's.
        """

    @abstractmethod
    def of_average(self, averaged: Averaged, target: Target) -> ByRow:
        """Return the loss of each row.

        Args:
            averaged: What `average` returned.
            target: In the form that the class documents.
        """

    @abstractmethod
    def canonical(self, averaged: Averaged, followed: Followed) -> Canonical:
        """Return outputs on a scale on which changes add up.

        Args:
            averaged: What `average` returned.
            followed: What `followed` returned for these rows.
        """

    def additive(self, averaged: Averaged) -> Averaged:
        """Return all outputs on a scale on which parts of columns add up: `canonical`, but for classes.

        Args:
            averaged: What `average` returned.
        """
        return self.canonical(averaged, self.followed(averaged))

    def of_additive(self, additive: Averaged) -> Averaged:
        """Return the averaged outputs whose `additive` these are.

        Args:
            additive: Outputs on that scale; of classes, up to a number that is the same for all.
        """
        return additive

    @abstractmethod
    def divergence(self, canonical: Canonical, change: Changes, target: Target | None) -> ByColumn:
        """Return how much the loss increases beyond its tangent, which for most losses does not depend on the target.

        Args:
            canonical: Canonical outputs.
            change: What is added to them.
            target: In the form that the class documents; None to take the outputs themselves as the target.

        Returns:
            Not negative, because losses are convex in canonical outputs.
        """

    @abstractmethod
    def curvature(self, canonical: Canonical) -> Canonical:
        """Return how much the divergence of each canonical output grows with the square of a small change."""

    @abstractmethod
    def self_target_objective(self, averaged: Averaged) -> ByRow:
        """Return one number for each row, the prediction to differentiate where there is no target."""

    def ensemble(self, outputs: Outputs, target: Target, member_weight: ByMember) -> ByRow:
        """Return the loss of the averaged prediction.

        Args:
            outputs: Outputs of the model.
            target: In the form that the class documents.
            member_weight: Weight of each member in the average of a row, not all zero in any row.
        """
        return self.of_average(self.average(outputs, member_weight), target)

    def average(self, outputs: Outputs, member_weight: ByMember | None = None) -> Averaged:
        """Average numbers, rates or probabilities over members.

        Args:
            outputs: Outputs of the model.
            member_weight: Weight of each member in the average of a row, not all zero in any row; None for equal ones.

        Returns:
            The prediction of the ensemble.
        """
        values = self.natural(outputs)
        if member_weight is None:
            return values.mean(dim=1)
        relative_weight = member_weight * (member_weight.shape[1] / member_weight.sum(dim=1, keepdim=True))
        return (values * relative_weight[..., None]).mean(dim=1)

    def followed(self, averaged: Averaged) -> Followed:
        """Choose the outputs whose changes are followed: all of them by default."""
        return torch.arange(averaged.shape[1], device=averaged.device).expand(averaged.shape)

    def limits(
        self,
        others: Float[Tensor, "row output"],
        followed: Followed,  # noqa: ARG002  # only `ClassLoss` follows a subset
    ) -> tuple[Limit, Limit]:
        """Return the least and the greatest canonical outputs of other rows.

        Args:
            others: Averaged predictions of the other rows.
            followed: What `followed` returned for the rows in question.
        """
        theirs = self.canonical(others, self.followed(others))
        return theirs.amin(dim=0, keepdim=True), theirs.amax(dim=0, keepdim=True)


class _NumberLoss(Loss):
    """Losses of numbers: a cost of the difference between them and the target."""

    @abstractmethod
    def cost(self, error: Errors) -> Errors:
        """Return what an error costs."""

    @override
    def natural(self, outputs: Natural) -> Natural:
        return outputs

    @override
    def of_members(self, outputs: Outputs, target: Target) -> ByMember:
        return self.cost(outputs - _by_member(target)).mean(dim=2)

    @override
    def of_average(self, averaged: Averaged, target: Target) -> ByRow:
        return self.cost(averaged - target).mean(dim=1)

    @override
    def canonical(self, averaged: Averaged, followed: Followed) -> Canonical:
        return averaged

    @override
    def curvature(self, canonical: Canonical) -> Canonical:
        return torch.ones_like(canonical)

    @override
    def self_target_objective(self, averaged: Averaged) -> ByRow:
        return averaged.sum(dim=1)


class SquaredLoss(_NumberLoss):
    """Squared errors of numbers; the best prediction is the mean."""

    @override
    def cost(self, error: Errors) -> Errors:
        return error.square()

    @override
    def divergence(self, canonical: Canonical, change: Changes, target: Target | None) -> ByColumn:
        return change.square().mean(dim=1)


class _KinkedLoss(_NumberLoss):
    """Costs that are straight but for a kink at 0, so that the divergence depends on the side of the target."""

    @abstractmethod
    def slope(self, error: Errors) -> Errors:
        """Return the derivative of the cost; 0 where it does not exist."""

    @override
    def divergence(self, canonical: Canonical, change: Changes, target: Target | None) -> ByColumn:
        error = torch.zeros_like(canonical) if target is None else canonical - target
        before = error[..., None]
        return (self.cost(before + change) - self.cost(before) - self.slope(before) * change).mean(dim=1)


class AbsoluteLoss(_KinkedLoss):
    """Absolute errors of numbers; the best prediction is the median."""

    @override
    def cost(self, error: Errors) -> Errors:
        return error.abs()

    @override
    def slope(self, error: Errors) -> Errors:
        return error.sign()


@dataclass(frozen=True)
class PinballLoss(_KinkedLoss):
    """A number too low costs `quantile` times the error, one too high the rest; the best prediction is the quantile.

    Args:
        quantile: In (0, 1).

    Source: Koenker and Bassett 1978 (Regression Quantiles).
    """

    quantile: float

    @override
    def cost(self, error: Errors) -> Errors:
        return torch.maximum((1 - self.quantile) * error, -self.quantile * error)

    @override
    def slope(self, error: Errors) -> Errors:
        above, below = (error.new_full((), each) for each in (1 - self.quantile, -self.quantile))
        return torch.where(error > 0, above, below) * (error != 0)


class PoissonLoss(Loss):
    """Minus the log likelihood of counts, up to a term that does not depend on the prediction; outputs are log rates.

    Source: McCullagh and Nelder 1989 (Generalized Linear Models), section 6.2; half the deviance, up to that term.
    """

    @override
    def natural(self, outputs: Natural) -> Natural:
        return outputs.exp()

    @override
    def of_members(self, outputs: Outputs, target: Target) -> ByMember:
        return (outputs.exp() - _by_member(target) * outputs).mean(dim=2)

    @override
    def of_average(self, averaged: Averaged, target: Target) -> ByRow:
        return (averaged - target * _log(averaged)).mean(dim=1)

    @override
    def canonical(self, averaged: Averaged, followed: Followed) -> Canonical:
        return _log(averaged)

    @override
    def of_additive(self, additive: Averaged) -> Averaged:
        return additive.exp()

    @override
    def divergence(self, canonical: Canonical, change: Changes, target: Target | None) -> ByColumn:
        return (canonical.exp()[..., None] * (change.expm1() - change)).mean(dim=1)

    @override
    def curvature(self, canonical: Canonical) -> Canonical:
        return canonical.exp()

    @override
    def self_target_objective(self, averaged: Averaged) -> ByRow:
        return _log(averaged).sum(dim=1)


class LabelLoss(Loss):
    """Cross-entropy, in nats, of independent binary labels; outputs are log odds.

    Probabilities are kept in double precision, in which those near 1 differ from 1.
    """

    @override
    def natural(self, outputs: Natural) -> Natural:
        return outputs.double().sigmoid()

    @override
    def of_members(self, outputs: Outputs, target: Target) -> ByMember:
        known = _by_member(target).to(outputs.dtype).expand(outputs.shape)
        return binary_cross_entropy_with_logits(outputs, known, reduction="none").mean(dim=2)

    @override
    def of_average(self, averaged: Averaged, target: Target) -> ByRow:
        return -(target * _log(averaged) + (1 - target) * _log(1 - averaged)).mean(dim=1)

    @override
    def canonical(self, averaged: Averaged, followed: Followed) -> Canonical:
        return _log(averaged) - _log(1 - averaged)

    @override
    def of_additive(self, additive: Averaged) -> Averaged:
        return additive.sigmoid()

    @override
    def divergence(self, canonical: Canonical, change: Changes, target: Target | None) -> ByColumn:
        return _divergence_of_odds(canonical[..., None], change).mean(dim=1)

    @override
    def curvature(self, canonical: Canonical) -> Canonical:
        return (logsigmoid(canonical) + logsigmoid(-canonical)).exp()

    @override
    def self_target_objective(self, averaged: Averaged) -> ByRow:
        return _log(torch.maximum(averaged, 1 - averaged)).sum(dim=1)


class ClassLoss(Loss):
    """Cross-entropy of classes, in nats; outputs are logits, targets are codes or, for members, probabilities.

    Canonical are the log odds of the second of two classes, or the log probabilities of the most probable of several;
    where not all are followed, the others together are one more.
    """

    @override
    def natural(self, outputs: Natural) -> Natural:
        return outputs.softmax(dim=-1)

    @override
    def of_members(self, outputs: Outputs, target: Target) -> ByMember:
        known = target.transpose(1, 2) if target.ndim > 1 else target[:, None].expand(outputs.shape[:2])
        return cross_entropy(outputs.transpose(1, 2), known, reduction="none")

    @override
    def of_average(self, averaged: Averaged, target: Target) -> ByRow:
        if target.ndim > 1:
            return -(target * _log(averaged)).sum(dim=1)
        return -_log(averaged.gather(1, target[:, None]).squeeze(1))

    @override
    def followed(self, averaged: Averaged) -> Followed:
        return averaged.topk(min(MAX_CLASSES_FOLLOWED, averaged.shape[1]), dim=1).indices

    @override
    def canonical(self, averaged: Averaged, followed: Followed) -> Canonical:
        n_classes, n_followed = averaged.shape[1], followed.shape[1]
        if n_classes == 2:
            logs = _log(averaged)
            return logs[:, 1:] - logs[:, :1]
        chosen = averaged.gather(1, followed)
        if n_followed < n_classes:
            rest = averaged.scatter(1, followed, 0.0).sum(dim=1, keepdim=True)
            chosen = torch.cat([chosen, rest], dim=1)
        return _log(chosen)

    @override
    def additive(self, averaged: Averaged) -> Averaged:
        return averaged.clamp_min(LEAST_PROBABILITY).log()

    @override
    def of_additive(self, additive: Averaged) -> Averaged:
        return additive.softmax(dim=-1)

    @override
    def limits(self, others: Float[Tensor, "row output"], followed: Followed) -> tuple[Limit, Limit]:
        n_classes = others.shape[1]
        if n_classes == 2:
            return super().limits(others, followed)
        logs = _log(others)
        low, high = logs.amin(dim=0)[followed], logs.amax(dim=0)[followed]
        if followed.shape[1] < n_classes:
            rest = _log(1 - others[:, followed].sum(dim=2))
            low = torch.cat([low, rest.amin(dim=0)[:, None]], dim=1)
            high = torch.cat([high, rest.amax(dim=0)[:, None]], dim=1)
        return low, high

    @override
    def divergence(self, canonical: Canonical, change: Changes, target: Target | None) -> ByColumn:
        before = canonical[..., None]
        if canonical.shape[1] == 1:
            return _divergence_of_odds(before, change).squeeze(1)
        probability = before.exp()
        increase = (before + change).logsumexp(dim=1) - before.logsumexp(dim=1)
        return increase - (probability * change).sum(dim=1) / probability.sum(dim=1)

    @override
    def curvature(self, canonical: Canonical) -> Canonical:
        return torch.ones_like(canonical) if canonical.shape[1] == 1 else canonical.exp()

    @override
    def self_target_objective(self, averaged: Averaged) -> ByRow:
        return _log(averaged.amax(dim=1))


def loss_of(name: LossName, quantile: float = 0.5) -> Loss:
    """Return a loss by its name.

    Args:
        name: Which.
        quantile: Of "pinball".

    Example:
        >>> loss_of("absolute").of_average(torch.tensor([[2.0]]), torch.tensor([[5.0]])).item()
        3.0
    """
    return PinballLoss(quantile) if name == "pinball" else LOSSES[name]


LOSSES: Mapping[LossName, Loss] = {
    "squared": SquaredLoss(),
    "squared_log": SquaredLoss(),
    "absolute": AbsoluteLoss(),
    "poisson": PoissonLoss(),
    "classes": ClassLoss(),
    "labels": LabelLoss(),
}


def _by_member(target: Tensor) -> Tensor:
    """Return the target with an axis of members, which broadcasts where all have the same."""
    return target if target.ndim == 3 else target[:, None]


def _divergence_of_odds(log_odds: Tensor, change: Tensor) -> Tensor:
    return softplus(log_odds + change) - softplus(log_odds) - log_odds.sigmoid() * change


def _log(positive: Tensor) -> Tensor:
    return positive.clamp_min(torch.finfo(positive.dtype).tiny).log()
