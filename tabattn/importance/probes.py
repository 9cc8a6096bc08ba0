"""Encoder probes: what scoring reads from an encoder, in one interface for those that mix columns and those that don't.

A *site* is what columns act through: in the class-attention encoder what each stream reads, the sum of ``a_i E_i``, of
which the part of column i is known; in the others the tokens at the entrance, because behind it columns are mixed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from tabattn.importance.aggregation import mean_scores, mixed_rollout_scores, norm_scores, rollout_scores
from tabattn.nn.attention import carried_along, reading_changes
from tabattn.nn.encoder import ClassAttentionEncoder
from tabattn.nn.mixing import MixingEncoder
from tabattn.nn.model import TabAttnModel


@dataclass(frozen=True)
class Trace:
    """Predictions of some rows, with the tensors that gradients are taken with respect to.

    Args:
        prediction: Outputs of each member.
        sites: What columns act through.
        weights: Attention, in the encoder's own layout.
    """

    prediction: Float[Tensor, "batch member output"]
    sites: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]


class EncoderProbe(ABC):
    """Probe of one kind of encoder."""

    @abstractmethod
    def trace(self, tokens: Float[Tensor, "group batch column d"]) -> Trace:
        """Predict rows; where gradients are enabled, the prediction depends on sites and weights.

        Args:
            tokens: Column tokens, normalized.
        """

    @abstractmethod
    def of_rows(self, weights: Sequence[Tensor], n_rows: int) -> tuple[Tensor, ...]:
        """Return the weights that `carried` needs, with the rows on the second axis.

        Args:
            weights: Of some rows.
            n_rows: How many these are.
        """

    @abstractmethod
    def carried(
        self, gradients: Sequence[Tensor], weights: Sequence[Tensor], tokens: Float[Tensor, "group batch column d"]
    ) -> Float[Tensor, "batch member column"]:
        """Return the part of each column in the sites, in the direction of a gradient.

        Args:
            gradients: One for each site.
            weights: Of the rows in question.
            tokens: Of the rows in question.
        """

    @abstractmethod
    def changes(
        self,
        tokens: Float[Tensor, "group batch column d"],
        way: Float[Tensor, "group batch column d"],
        others: Float[Tensor, "group batch column d"],
    ) -> Callable[[Sequence[Tensor]], Float[Tensor, "batch member column"]]:
        """Return a function of gradients, one for each site: how far a site moves along them with each column.

        Args:
            tokens: Of the rows as they are.
            way: From these to those of the other rows; 0 for columns that stay, about which the function says nothing.
            others: Of the other rows.
        """

    @abstractmethod
    def typical(self, weights: Sequence[Tensor], tokens: Float[Tensor, "group batch column d"]) -> tuple[Tensor, ...]:
        """Return the mean over rows of the part of each column in the sites.

        Args:
            weights: Of the rows.
            tokens: Of the rows.
        """

    @abstractmethod
    def carried_typically(
        self, gradients: Sequence[Tensor], typical: Sequence[Tensor]
    ) -> Float[Tensor, "batch member column"]:
        """Return the mean of `carried` over the rows of `typical`, for the gradients of each row.

        Args:
            gradients: One for each site.
            typical: What `typical` returned.
        """

    @abstractmethod
    def attributed(
        self, objective: Float[Tensor, ""], trace: Trace, tokens: Float[Tensor, "group batch column d"]
    ) -> Float[Tensor, "batch member column"]:
        """Return the absolute value of attention times its gradient, summed over layers, heads and attending states.

        Args:
            objective: What is differentiated.
            trace: What it was computed from.
            tokens: Of the same rows.
        """

    @abstractmethod
    def mean(self, tokens: Float[Tensor, "group batch column d"]) -> Float[Tensor, "batch member column"]:
        """Score columns by attention alone."""

    @abstractmethod
    def norm(self, tokens: Float[Tensor, "group batch column d"]) -> Float[Tensor, "batch member column"]:
        """Score columns by attention times the norm of the value it carries."""

    @abstractmethod
    def rollout(self, tokens: Float[Tensor, "group batch column d"]) -> Float[Tensor, "batch member column"]:
        """Score columns by what is left of them in the state that predicts, if attention mixes and states stay."""


class ClassProbe(EncoderProbe):
    """Probe of the class-attention encoder.

    Args:
        model: The model.
        encoder: Its encoder.
    """

    def __init__(self, model: TabAttnModel, encoder: ClassAttentionEncoder) -> None:
        self._model = model
        self._encoder = encoder

    @override
    def trace(self, tokens: Float[Tensor, "group batch column d"]) -> Trace:
        state, readings = self._encoder(tokens)
        return Trace(
            self._model.outputs(state),
            tuple(reading.mixture for reading in readings),
            tuple(reading.weights for reading in readings),
        )

    @override
    def of_rows(self, weights: Sequence[Tensor], n_rows: int) -> tuple[Tensor, ...]:
        return tuple(each.unflatten(0, (-1, n_rows)) for each in weights)

    @override
    def carried(
        self, gradients: Sequence[Tensor], weights: Sequence[Tensor], tokens: Float[Tensor, "group batch column d"]
    ) -> Float[Tensor, "batch member column"]:
        flat = tokens.flatten(0, 1)
        return self._sum_heads(carried_along(*pair, flat) for pair in zip(gradients, weights, strict=True))

    @override
    def changes(
        self,
        tokens: Float[Tensor, "group batch column d"],
        way: Float[Tensor, "group batch column d"],
        others: Float[Tensor, "group batch column d"],
    ) -> Callable[[Sequence[Tensor]], Float[Tensor, "batch member column"]]:
        own, theirs = tokens.flatten(0, 1), others.flatten(0, 1)
        before, weights = self.trace(tokens), self.trace(tokens + way).weights

        def along(gradients: Sequence[Tensor]) -> Tensor:
            layers = zip(gradients, before.sites, before.weights, weights, strict=True)
            return self._sum_heads(
                reading_changes(gradient, site, was, own, became, theirs) for gradient, site, was, became in layers
            )

        return along

    @override
    def typical(self, weights: Sequence[Tensor], tokens: Float[Tensor, "group batch column d"]) -> tuple[Tensor, ...]:
        by_group = (each.unflatten(0, tokens.shape[:2]) for each in weights)
        return tuple(torch.einsum("gbsc,gbcd->gscd", each, tokens) / tokens.shape[1] for each in by_group)

    @override
    def carried_typically(
        self, gradients: Sequence[Tensor], typical: Sequence[Tensor]
    ) -> Float[Tensor, "batch member column"]:
        return self._sum_heads(
            torch.einsum("gbsd,gscd->gbsc", gradient.unflatten(0, (len(mean), -1)), mean).flatten(0, 1)
            for gradient, mean in zip(gradients, typical, strict=True)
        )

    @override
    def attributed(
        self, objective: Float[Tensor, ""], trace: Trace, tokens: Float[Tensor, "group batch column d"]
    ) -> Float[Tensor, "batch member column"]:
        gradients = torch.autograd.grad(objective, trace.sites)
        flat = tokens.flatten(0, 1)
        pairs = zip(gradients, trace.weights, strict=True)
        return self._sum_heads(carried_along(gradient, weights.detach(), flat).abs() for gradient, weights in pairs)

    @override
    def mean(self, tokens: Float[Tensor, "group batch column d"]) -> Float[Tensor, "batch member column"]:
        return mean_scores(self._attention(tokens))

    @override
    def norm(self, tokens: Float[Tensor, "group batch column d"]) -> Float[Tensor, "batch member column"]:
        return norm_scores(self._attention(tokens), self._encoder.value_norms(tokens))

    @override
    def rollout(self, tokens: Float[Tensor, "group batch column d"]) -> Float[Tensor, "batch member column"]:
        return rollout_scores(self._attention(tokens))

    def _attention(self, tokens: Tensor) -> tuple[Tensor, ...]:
        return self._encoder.predict(tokens)[1]

    def _sum_heads(self, layers: Iterable[Tensor]) -> Tensor:
        return torch.stack([each.sum(dim=2) for each in self._encoder.by_head(layers)]).sum(dim=0)


class MixingProbe(EncoderProbe):
    """Probe of the encoders that mix columns; the weights are those of all states to all states.

    Args:
        model: The model.
        encoder: Its encoder.
    """

    def __init__(self, model: TabAttnModel, encoder: MixingEncoder) -> None:
        self._model = model
        self._encoder = encoder

    @override
    def trace(self, tokens: Float[Tensor, "group batch column d"]) -> Trace:
        site = self._encoder.by_member(tokens)
        if torch.is_grad_enabled():
            site = site.detach().requires_grad_()
        mixed = self._encoder.read(site)
        return Trace(self._model.outputs(mixed.state), (site,), (*mixed.between, *mixed.cross))

    @override
    def of_rows(self, weights: Sequence[Tensor], n_rows: int) -> tuple[Tensor, ...]:
        return ()

    @override
    def carried(
        self, gradients: Sequence[Tensor], weights: Sequence[Tensor], tokens: Float[Tensor, "group batch column d"]
    ) -> Float[Tensor, "batch member column"]:
        (gradient,) = gradients
        return (gradient * self._encoder.by_member(tokens)).sum(dim=-1).transpose(0, 1)

    @override
    def changes(
        self,
        tokens: Float[Tensor, "group batch column d"],
        way: Float[Tensor, "group batch column d"],
        others: Float[Tensor, "group batch column d"],
    ) -> Callable[[Sequence[Tensor]], Float[Tensor, "batch member column"]]:
        return lambda gradients: self.carried(gradients, (), way)

    @override
    def typical(self, weights: Sequence[Tensor], tokens: Float[Tensor, "group batch column d"]) -> tuple[Tensor, ...]:
        return (self._encoder.by_member(tokens).mean(dim=1),)

    @override
    def carried_typically(
        self, gradients: Sequence[Tensor], typical: Sequence[Tensor]
    ) -> Float[Tensor, "batch member column"]:
        return torch.einsum("mbcd,mcd->bmc", gradients[0], typical[0])

    @override
    def attributed(
        self, objective: Float[Tensor, ""], trace: Trace, tokens: Float[Tensor, "group batch column d"]
    ) -> Float[Tensor, "batch member column"]:
        n_columns = tokens.shape[2]
        gradients = torch.autograd.grad(objective, trace.weights, allow_unused=True)
        total = tokens.new_zeros(self._model.shape.n_members, tokens.shape[1], n_columns)
        for gradient, weights in zip(gradients, trace.weights, strict=True):
            if gradient is not None:
                total = total + (gradient * weights.detach()).abs().sum(dim=(2, 3))[..., :n_columns]
        return self._encoder.columns_in_own_order(total).transpose(0, 1)

    @override
    def mean(self, tokens: Float[Tensor, "group batch column d"]) -> Float[Tensor, "batch member column"]:
        return mean_scores(self._encoder.predict(tokens)[1])

    @override
    def norm(self, tokens: Float[Tensor, "group batch column d"]) -> Float[Tensor, "batch member column"]:
        mixed = self._encoder.read(self._encoder.by_member(tokens))
        attention, norms = (tuple(each.transpose(0, 1) for each in many) for many in (mixed.attention, mixed.norms))
        return norm_scores(attention, norms)

    @override
    def rollout(self, tokens: Float[Tensor, "group batch column d"]) -> Float[Tensor, "batch member column"]:
        mixed = self._encoder.read(self._encoder.by_member(tokens))
        scores = mixed_rollout_scores(mixed.between, mixed.cross)
        return self._encoder.columns_in_own_order(scores).transpose(0, 1)


def probe_of(model: TabAttnModel) -> EncoderProbe:
    """Return the probe of the encoder of a model.

    Args:
        model: The model.
    """
    encoder = model.encoder
    if isinstance(encoder, ClassAttentionEncoder):
        return ClassProbe(model, encoder)
    assert isinstance(encoder, MixingEncoder), "there are no other encoders"
    return MixingProbe(model, encoder)
