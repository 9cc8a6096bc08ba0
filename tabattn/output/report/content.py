"""What a report says, before it looks like anything: one frozen object that pages, JSON and Markdown are made of."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, Literal, TypeAlias

import numpy as np

from tabattn.arrays import Array
from tabattn.choices import Language
from tabattn.table.distributions import Distribution

State: TypeAlias = Literal["good", "warning", "serious", "note"]
N_DIGITS, MAX_BYTE = 5, 255


@dataclass(frozen=True)
class Fact:
    """One thing to know before the ranking is trusted.

    Args:
        name: What it is about.
        value: The answer, in a few words.
        note: What stands behind it.
        state: How good that is.
    """

    name: str
    value: str
    note: str = ""
    state: State = "note"


@dataclass(frozen=True)
class ReportedFinding:
    """A finding.

    Args:
        code: What it is.
        state: How serious it is.
        title: The same in a few words.
        message: The same in sentences, with what to do.
        columns: Names of the columns that it is about.
    """

    code: str
    state: State
    title: str
    message: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Curve:
    """Partial dependence of a column, and the data near each of its values.

    Args:
        values: Values of the column.
        prediction: Mean prediction if all rows had the value.
        low: Around which nine tenths of the rows are.
        high: Below which nine tenths of the rows are.
        target: Mean of the target of the rows near the value.
        n_rows: Their number.
        is_ordered: Whether the values go up.
    """

    values: tuple[str, ...]
    prediction: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    target: tuple[float, ...]
    n_rows: tuple[int, ...]
    is_ordered: bool


@dataclass(frozen=True)
class ReportedColumn:
    """One row of the ranking, and what its page shows.

    Args:
        rank: From 1 on.
        feature: Name of the column or group.
        kind: What it holds.
        importance: Fraction of the total score.
        std: Standard deviation over members.
        ci_low: Between which its importance lies.
        ci_high: The same, from above.
        permutation: Fall of the held-out score when it is permuted.
        permutation_std: Standard deviation of that over shuffles.
        permutation_rank: Rank by it.
        p_value: Of the test of what it adds to the others.
        q_value: Least rate of false discoveries at which it is selected.
        selected: Whether it is.
        conditional: Rise of the loss when its cell is drawn given the others.
        sampler_fit: How much of it the others explain.
        direction: Which way it acts.
        effect: By how much.
        effect_on: Class whose probability that is; empty for numbers.
        unit: Its unit; empty where it has none.
        same_as: Columns that say the same.
        acts_with: Columns that it acts together with.
        curve: Its effect; None if not computed.
        counts: Its distribution; None for a group.
        by_part: Name of each class or level, and the importance of the column in it.
    """

    rank: int
    feature: str
    kind: str
    importance: float
    std: float
    ci_low: float
    ci_high: float
    permutation: float
    permutation_std: float
    permutation_rank: int | None
    p_value: float
    q_value: float
    selected: bool | None
    conditional: float
    sampler_fit: float
    direction: str
    effect: float
    effect_on: str
    unit: str = ""
    same_as: tuple[str, ...] = ()
    acts_with: tuple[str, ...] = ()
    curve: Curve | None = None
    counts: Distribution | None = None
    by_part: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Quantized:
    """An array of numbers from 0 on, in steps of a 255th of the largest: a byte each, however many there are.

    Args:
        array: The numbers, at least 0.
    """

    array: Array

    def to_json(self) -> dict[str, Any]:
        """Return shape, largest number, and the bytes in base64."""
        largest = float(self.array.max(initial=0.0))
        steps = np.rint(self.array / largest * MAX_BYTE) if largest > 0 else np.zeros_like(self.array)
        text = base64.b64encode(steps.astype(np.uint8).tobytes()).decode("ascii")
        return {"shape": list(self.array.shape), "largest": _number(largest), "bytes": text}


@dataclass(frozen=True, eq=False)
class ReportedBetween:
    """A number for each column with each.

    Args:
        names: Names of the columns.
        weights: Shape (column, column): attention of columns, in rows, to columns; or how they go together.
    """

    names: tuple[str, ...]
    weights: Quantized


@dataclass(frozen=True, eq=False)
class ReportedAttention:
    """Attention of CLS to the columns.

    Args:
        names: Names of the columns.
        by_head: Averaged over rows, shape (member, layer, head, column).
        by_row: Averaged over members, layers and heads, shape (row, column).
        epochs: Numbers of the epochs.
        by_epoch: In eval mode, shape (epoch, column).
        best_epoch: Whose weights were kept.
        between: Attention of columns to columns; None where columns do not attend.
    """

    names: tuple[str, ...]
    by_head: Quantized
    by_row: Quantized
    epochs: tuple[int, ...]
    by_epoch: Quantized
    best_epoch: int
    between: ReportedBetween | None = None


@dataclass(frozen=True, eq=False)
class ReportedRows:
    """Some rows that were held out.

    Args:
        numbers: Their numbers, as people count.
        target: Their target.
        prediction: What is predicted of them.
        scores: Importance of each column of the ranking for each row, shape (row, column).
        cells: Their cells in the first columns of the ranking, in its order; empty for a group.
    """

    numbers: tuple[str, ...]
    target: tuple[str, ...]
    prediction: tuple[str, ...]
    scores: Quantized
    cells: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Interaction:
    """Two columns that may act together.

    Args:
        first: Name of a column.
        second: Name of the other.
        interaction: How much of the score they have together.
        p_value: Of its test.
        selected: Whether it is selected.
    """

    first: str
    second: str
    interaction: float
    p_value: float
    selected: bool


@dataclass(frozen=True)
class EliminationStep:
    """One step of the way to the smallest set of columns that suffices.

    Args:
        removed: The column that goes; empty for the first step.
        n_left: Number of columns left.
        loss: Loss with these.
        kept: Fraction of the gain that they keep.
        is_sufficient: Whether they predict as well as all.
    """

    removed: str
    n_left: int
    loss: float
    kept: float
    is_sufficient: bool


@dataclass(frozen=True)
class Drift:
    """How far attention to a column, and its cells, differ from training.

    Args:
        feature: Name of the column.
        training: Mean attention to it in training.
        now: The same of these rows.
        p_value: Adjusted for the number of columns.
        drifted: Whether it differs.
        outside: Fraction of cells beyond the range or the levels of training.
        missing: Fraction of cells that are missing.
    """

    feature: str
    training: float
    now: float
    p_value: float
    drifted: bool
    outside: float
    missing: float


@dataclass(frozen=True)
class Model:
    """Scores of a model on held-out rows.

    Args:
        name: Which model.
        scores: Name and value of each score.
    """

    name: str
    scores: tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that a report says.

    Args:
        language: Of its words.
        title: What it is of.
        question: What is asked.
        answer: The answer, in sentences.
        target: Name of the target.
        unit: Unit of the effects; empty where it is not known.
        facts: What to know before it is trusted.
        findings: The findings.
        columns: The ranking, rank 1 first.
        models: Scores of models.
        agreement: Name and value of each measure of agreement with permutation importance.
        attention: Attention; None where it is not known.
        rows: Some held-out rows; None if there are no such rows.
        interactions: Pairs of columns that were tested.
        elimination: Backward elimination, step by step.
        associations: How columns go together; None where fewer than two are compared.
        drift: Of each column, the largest difference first; for new rows only.
        settings: Name and value of each setting, and of each version.
        command: The command to reproduce it; may be empty.
    """

    language: Language
    title: str
    question: str
    answer: tuple[str, ...]
    target: str
    unit: str
    facts: tuple[Fact, ...]
    findings: tuple[ReportedFinding, ...]
    columns: tuple[ReportedColumn, ...]
    models: tuple[Model, ...]
    agreement: tuple[tuple[str, float], ...] = ()
    attention: ReportedAttention | None = None
    rows: ReportedRows | None = None
    interactions: tuple[Interaction, ...] = ()
    elimination: tuple[EliminationStep, ...] = ()
    associations: ReportedBetween | None = None
    drift: tuple[Drift, ...] = ()
    settings: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    command: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the content as JSON holds it: numbers with five digits, null for NaN and infinities."""
        content: dict[str, Any] = as_json(self)
        return content


def as_json(value: Any) -> Any:
    """Return data classes as dictionaries, and numbers with five digits; null for NaN and infinities.

    Args:
        value: A report, or a part of one.

    Example:
        >>> as_json(Fact("score", "0.9")), as_json([1 / 3, float("nan")])
        ({'name': 'score', 'value': '0.9', 'note': '', 'state': 'note'}, [0.33333, None])
    """
    if isinstance(value, Quantized):
        return value.to_json()
    if is_dataclass(value):
        return {each.name: as_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, str | bool | int | Enum) or value is None:
        return value
    if isinstance(value, float):
        return _number(value)
    assert isinstance(value, Sequence), f"a report holds no {type(value)}"
    return [as_json(each) for each in value]


def _number(value: float) -> float | None:
    return float(f"{value:.{N_DIGITS}g}") if math.isfinite(value) else None
