"""The inference view in one call: predictions of a saved model for new rows, column scores, and drift of attention."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from typing_extensions import override

from tabattn.arrays import Array
from tabattn.choices import DEFAULT_METHOD, Language, Method
from tabattn.diagnostics.doubts import doubtful_findings
from tabattn.diagnostics.findings import Finding, findings_table
from tabattn.diagnostics.new_rows import empty_rows, new_row_findings, outside_shares
from tabattn.encoding.rows import Rows
from tabattn.encoding.target import ClassEncoding, TargetEncoding
from tabattn.errors import gathered
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.fitted.costs import expected_additive, expected_scores
from tabattn.fitted.effects import shown_outputs
from tabattn.fitted.model import FittedModel
from tabattn.fitted.record import HeldOutRecord, scores_of
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import Groups, Units, units_of
from tabattn.nn.torch_state import torch_defaults
from tabattn.output.report.content import Report
from tabattn.output.report.files import ReportedResults, check_language
from tabattn.output.terminal import print_explanation, printed
from tabattn.prediction import new_rows
from tabattn.progress import Job
from tabattn.reporting import N_SHOWN_ROWS, RowDetails, report_of_rows, row_details

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(ReportedResults):
    """Predictions, scores and attention of a model for new rows.

    Args:
        predictions: One row per row of the table: `row` (its number, from 1 on), the cells of the columns that the
            model does not read, such as lots and serial numbers, the target if it is known, `prediction` (one column
            for each target or label, if there are several), `low` and `high` (between which nine tenths of such targets
            lie, if rows are like those that the model was not fitted on; see `HeldOutRecord.range_of`), and
            `probability_...` of each class.
        local: Score of each column for each row.
        importance: The ImportanceTable of these rows.
        attention: Mean attention that each row pays to each column.
        by_head: Attention averaged over rows and members, layers and heads against features.
        between: Attention of columns to columns averaged over everything, for encoders that mix them; else None.
        drift: Attention to each column in training and here, the largest difference first, see
            `tabattn.importance.drift.attention_drift`; and the shares of cells here that are `outside` of the range or
            the levels of training, or `missing`, see `outside_shares`.
        scores: Scores of the predictions of held-out rows in training and of these rows, where they are known.
        findings: What a reader should know of these rows.
        estimator: The model.
        details: Attention and scores of the first rows.
        additive: Asked for by `additive=True`, else None: for each row and output (the number, or the probability of a
            class; of two classes, the second) `mean`, the mean prediction of 64 rows of training, one column for each
            feature or group with its Shapley value, and `prediction`, which is `mean` and all values added up.
    """

    predictions: pd.DataFrame
    local: pd.DataFrame
    importance: ImportanceTable
    attention: pd.DataFrame
    by_head: pd.DataFrame
    between: pd.DataFrame | None
    drift: pd.DataFrame
    scores: pd.DataFrame
    findings: tuple[Finding, ...]
    estimator: TabAttnRegressor | TabAttnClassifier
    details: RowDetails
    additive: pd.DataFrame | None = None

    def __repr__(self) -> str:
        """Return what the command line prints of it."""
        return printed(lambda console: print_explanation(console, self))

    @property
    def diagnostics(self) -> pd.DataFrame:
        """What a reader of the predictions should know, one finding per row, see `findings_table`."""
        return findings_table(self.findings)

    @override
    def report(self, *, language: Language = "en", command: str = "") -> Report:
        check_language(language)
        return report_of_rows(self, language=language, command=command)

    @override
    def _tables(self) -> dict[str, pd.DataFrame]:
        tables = {
            "predictions": self.predictions,
            "explanations": self.local,
            "importance": self.importance,
            "attention": self.attention,
            "drift": self.drift,
            "scores": self.scores,
            "diagnostics": self.diagnostics,
        }
        return tables if self.additive is None else tables | {"additive": self.additive}

    @override
    def _plots(self, language: Language) -> "dict[str, Callable[[], Axes]]":
        from tabattn.output.fonts import warn_of_missing_glyphs
        from tabattn.output.plots import (
            plot_attention,
            plot_drift,
            plot_importance,
            plot_rows,
        )

        warn_of_missing_glyphs((*self.importance["feature"], *self.attention.columns))
        plots: dict[str, Callable[[], Axes]] = {
            "importance": lambda: plot_importance(self.importance, language=language),
            "attention": lambda: plot_attention(self.by_head, language=language),
            "drift": lambda: plot_drift(self.drift, language=language),
            "rows": lambda: plot_rows(self.local, language=language),
        }
        between = self.between
        return plots if between is None else plots | {"columns": lambda: plot_attention(between, language=language)}


@torch_defaults()
def explain(
    model: Any,
    data: Any,
    *,
    target: str | None = None,
    method: Method = DEFAULT_METHOD,
    groups: Groups = None,
    additive: bool = False,
    sheet: str | int | None = None,
    header_row: int | None = None,
    units_row: int | None = None,
    max_memory: float | None = None,
    verbose: bool = False,
) -> Explanation:
    """Explain the predictions of a fitted model for new rows.

    Args:
        model: A fitted estimator, a ranking, or the path of a saved model.
        data: The table, or the path of its file, with the columns that the model was fitted on; others are left out.
        target: Name of the column with the true target, if it is known; None to score what moves the predictions.
        method: How attention becomes scores, see `TabAttnRegressor.importance_table`.
        groups: Columns scored as one, as for `TabAttnRegressor.importance_table`.
        additive: Whether to divide each prediction, less the mean of those of training rows, among the columns too: in
            units of the target, or of probability. As slow as `method="shapley"` on a few rows.
        sheet: Name or number of the sheet of a workbook; None for the first that holds a table. This and the next three
            are for files, see `tabattn.table.reading.read_table`.
        header_row: Number of the row of names, from 1 on; None to find it.
        units_row: Number of the row of units, 0 for none; None to find it.
        max_memory: Gigabytes that reading may take; None for most of what is free.
        verbose: Whether to show what is done and how long it will take, in a line on the standard error stream.

    Returns:
        The explanation.

    Raises:
        TabAttnError: The model, the table or an argument is at fault; the message states what to do.

    Example:
        >>> import numpy as np
        >>> X = pd.DataFrame({"heat": np.linspace(-1, 1, 60), "dust": np.tile([0.0, 1.0], 30)})
        >>> est = TabAttnRegressor(n_members=2, d_token=8, max_epochs=5, random_state=0).fit(X, X["heat"])
        >>> found = explain(est, X + 1)
        >>> found.local.shape, sorted(found.drift["feature"])
        ((60, 2), ['dust', 'heat'])
    """
    reading = {"sheet": sheet, "header_row": header_row, "units_row": units_row, "max_memory": max_memory}
    with gathered() as doubts:
        new = new_rows(model, data, target, **reading)
    estimator, rows = new.estimator, new.rows
    fitted, units = estimator.fitted_model_.on(estimator.device), units_of(estimator.schema_, groups)
    encoding, record = fitted.encoder.target, fitted.record
    shares = outside_shares(fitted.encoder.preprocessor, rows.raw)
    job = Job(is_shown=verbose)
    job.expect(dict.fromkeys(("scores of rows", "scores"), expected_scores(fitted.model.shape, len(rows), method)))
    if additive:
        n_background = len(fitted.reader.additive_background)
        job.expect({"additive values": expected_additive(fitted.model.shape, len(rows), n_background)})
    job.plan(3 + additive)
    with job.shown():
        with job.phase("scores of rows"):
            local = fitted.local_scores(rows, method, units).reset_index(drop=True)
        with job.phase("scores"):
            scores = fitted.scores(rows, method, units)
        divided = None
        if additive:
            with job.phase("additive values"):
                divided = _additive(fitted, rows, units)
        with job.phase("attention"):
            output = fitted.predict(rows)
            findings = [
                *new_row_findings(shares, empty_rows(rows.raw), encoding, record, output, rows.y),
                *doubtful_findings(doubts, [*new.X.columns, *([] if target is None else [target])]),
            ]
            importance = importance_table(units, scores)
            features = list(importance["feature"])
            first = rows.take(np.arange(min(N_SHOWN_ROWS, len(rows))))
            written = new.X.head(N_SHOWN_ROWS).reset_index(drop=True)
            known = None if new.known is None else new.known.iloc[:N_SHOWN_ROWS, 0].tolist()
            return Explanation(
                predictions=new.predictions(output),
                local=local,
                importance=importance,
                attention=fitted.row_attention(rows).reset_index(drop=True),
                by_head=fitted.mean_attention(rows),
                between=fitted.mean_attention_between(rows),
                drift=fitted.drift(rows).merge(shares, on="feature", validate="one_to_one"),
                scores=_scores(encoding, record, output, rows.y),
                findings=tuple(findings),
                estimator=estimator,
                details=row_details(estimator, first, written, units, features, known),
                additive=divided,
            )


def _additive(fitted: FittedModel, rows: Rows, units: Units) -> pd.DataFrame:
    """Return the mean, the value of each unit and the prediction, for each row and output."""
    values, mean = fitted.additive_values(rows, units)
    n_outputs = values.shape[1]
    names = {number: f"prediction_{number}" if n_outputs > 1 else "prediction" for number in range(n_outputs)}
    if isinstance(fitted.encoder.target, ClassEncoding):
        names = {number: f"probability of {name}" for number, name in shown_outputs(fitted)}
    parts = []
    for number, name in names.items():
        own = values[:, number]
        known = pd.DataFrame({"row": np.arange(1, len(own) + 1), "of": name, "mean": mean[number]})
        taken = {*known.columns, "prediction"}
        features = [f"{each} (feature)" if each in taken else each for each in units.names]
        total = pd.DataFrame({"prediction": mean[number] + own.sum(axis=1)})
        parts.append(pd.concat([known, pd.DataFrame(own, columns=features), total], axis=1))
    return pd.concat(parts, ignore_index=True).sort_values("row", kind="stable", ignore_index=True)


def _scores(target: TargetEncoding, record: HeldOutRecord | None, output: Array, y: Array | None) -> pd.DataFrame:
    """Return the scores in training and here, side by side."""
    rows: list[dict[str, Any]] = []
    if record is not None:
        rows.append({"rows": "held out in training", "n_rows": record.n_rows, **record.scores})
    if y is not None:
        rows.append({"rows": "these", "n_rows": len(y), **scores_of(target, output, y)})
    return pd.DataFrame(rows, columns=None if rows else ["rows", "n_rows"])
