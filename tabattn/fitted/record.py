"""What a model predicts of rows that it was not fitted on: the measure that its predictions of new rows are held to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tabattn.arrays import Array
from tabattn.encoding.target import ClassEncoding, LabelEncoding, NumberEncoding, TargetEncoding
from tabattn.fitted.scores import held_out_scores, label_scores

RANGE = 0.9


@dataclass(frozen=True)
class HeldOutRecord:
    """How good predictions of held-out rows were.

    Args:
        n_rows: Number of these rows.
        scores: Their scores by name, see `scores_of`.
        low: How far below the prediction of each output the target lies at most in all but a twentieth of the rows,
            negative, on the scale that is learned; empty where no numbers are predicted.
        high: The same above the prediction.
    """

    n_rows: int
    scores: Mapping[str, float]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @classmethod
    def of(cls, target: TargetEncoding, output: Array, y: Array, weight: Array | None = None) -> Self:
        """Compare predictions with the target.

        Args:
            target: Encoding of the target.
            output: What was predicted.
            y: What came true.
            weight: Weight of each row; None for equal weights.
        """
        scores = scores_of(target, output, y, weight)
        if not isinstance(target, NumberEncoding):
            return cls(len(y), scores)
        errors = (target.encode(y) - target.encode(output)).double().numpy()
        tail = (1 - RANGE) / 2
        level = min(1.0, np.ceil((len(y) + 1) * (1 - tail)) / len(y))
        low, high = (sign * np.quantile(sign * errors, level, axis=0, method="higher") for sign in (-1, 1))
        return cls(len(y), scores, tuple(low.tolist()), tuple(high.tolist()))

    def range_of(self, target: NumberEncoding, output: Array) -> tuple[Array, Array]:
        """Return between which numbers nine tenths of targets lie, if new rows are like those that were held out.

        Args:
            target: Encoding of the target.
            output: What was predicted.

        Source: split conformal prediction, Lei et al. 2018 (arXiv 1604.04173), with the errors of either side by
            themselves.
        """
        encoded = target.encode(output).double().numpy()
        low, high = (encoded + np.array(each) for each in (self.low, self.high))
        if target.loss == "poisson":
            low, high = low.clip(0), high.clip(0)
        return target.decode(low), target.decode(high)

    @property
    def settings(self) -> dict[str, Any]:
        """The record as JSON can hold it."""
        return {"n_rows": self.n_rows, "scores": dict(self.scores), "low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], target: TargetEncoding) -> Self:
        """Return the record whose `settings` these are.

        Args:
            settings: What `settings` returned.
            target: Encoding of the target.

        Raises:
            ValueError, KeyError, TypeError: They are not those of a record of such a target.
        """
        low, high = (tuple(float(each) for each in settings[name]) for name in ("low", "high"))
        scores = {str(name): float(value) for name, value in settings["scores"].items()}
        n_outputs = target.n_outputs if isinstance(target, NumberEncoding) else 0
        numbers = (*low, *high, *scores.values())
        if len(low) != n_outputs or len(high) != n_outputs or not np.isfinite(numbers).all():
            raise ValueError("there must be a range of errors of each output")
        if any(below > above for below, above in zip(low, high, strict=True)):
            raise ValueError("a range of errors begins below its end")
        return cls(int(settings["n_rows"]), scores, low, high)


def scores_of(target: TargetEncoding, output: Array, y: Array, weight: Array | None = None) -> dict[str, float]:
    """Score predictions, see `held_out_scores` and `label_scores`.

    Args:
        target: Encoding of the target.
        output: What was predicted.
        y: What came true.
        weight: Weight of each row; None for equal weights.
    """
    if isinstance(target, LabelEncoding):
        return label_scores(output, y, weight)
    classes = target.classes if isinstance(target, ClassEncoding) else None
    return held_out_scores(output, classes, y, target.loss, target.quantile, weight)
