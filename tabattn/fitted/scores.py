"""Scores of predictions of held-out rows, for people."""

from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    log_loss,
    r2_score,
    recall_score,
    root_mean_squared_error,
)

from tabattn.arrays import Array
from tabattn.importance.permutation import SCORINGS, score_of
from tabattn.nn.losses import LossName

RARE_FRACTION = 0.1


def held_out_scores(
    output: Array,
    classes: Array | None,
    y: Any,
    loss: LossName,
    quantile: float = 0.5,
    weight: Array | None = None,
) -> dict[str, float]:
    """Score predicted numbers, or probabilities of classes.

    Args:
        output: What was predicted.
        classes: The classes, in the order of the probabilities; None for numbers.
        y: The target.
        loss: What a regression learned.
        quantile: Of the loss "pinball".
        weight: Weight of each row; None for equal weights.

    Returns:
        Accuracy and log loss in nats, and where the rarer of two classes has less than a tenth of the rows the average
        precision and the recall of that class; or R² and the root mean squared error, and before them the score of the
        loss, if that is another one; of a single row the error alone.
    """
    if classes is not None:
        predicted = classes[output.argmax(axis=1)]
        scores = {
            "accuracy": accuracy_score(y, predicted, sample_weight=weight),
            "log_loss": log_loss(y, output, labels=classes, sample_weight=weight),
        }
        counts = [int((np.asarray(y) == each).sum()) for each in classes]
        if len(classes) == 2 and 0 < min(counts) < RARE_FRACTION * len(y):
            rare = int(np.argmin(counts))
            is_rare = np.asarray(y) == classes[rare]
            scores |= {
                "average_precision": average_precision_score(is_rare, output[:, rare], sample_weight=weight),
                "recall": recall_score(is_rare, predicted == classes[rare], sample_weight=weight),
            }
        return scores
    if len(output) < 2:
        return {"rmse": root_mean_squared_error(y, output)}
    scores = {
        "r2": r2_score(y, output, sample_weight=weight),
        "rmse": root_mean_squared_error(y, output, sample_weight=weight),
    }
    scoring = SCORINGS[loss]
    return (
        scores
        if scoring == "r2"
        else {scoring: score_of(scoring, y, output, quantile=quantile, weight=weight)} | scores
    )


def label_scores(output: Array, y: Any, weight: Array | None = None) -> dict[str, float]:
    """Score probabilities of labels.

    Args:
        output: Shape (row, label).
        y: 0 or 1 for each row and label.
        weight: Weight of each row; None for equal weights.

    Returns:
        Means over labels of accuracy and of log loss in nats.
    """
    is_right = (output > 0.5) == (np.asarray(y) == 1)
    return {
        "accuracy": float(np.average(is_right.mean(axis=1), weights=weight)),
        "log_loss": -score_of("neg_log_loss", y, output, weight=weight),
    }
