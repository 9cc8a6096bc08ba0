"""Predictions of a saved model for new rows, and how the rows of a table are read for a model."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tabattn.arrays import Array
from tabattn.encoding.known_target import known_target
from tabattn.encoding.rows import Rows
from tabattn.encoding.target import ClassEncoding, NumberEncoding
from tabattn.errors import ParameterError, TableError, TargetError, quoted, warn_all
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.files import write_all
from tabattn.fitted.model import FittedModel, decide
from tabattn.loading import load
from tabattn.nn.torch_state import torch_defaults
from tabattn.output.results import with_plain_cells
from tabattn.table.cells import AnySeries, level_name
from tabattn.table.file_sets import SUFFIXES, FileSet, is_file_set
from tabattn.table.problem import known_cells
from tabattn.table.reading import read_any, refuse_duplicate_names, table_of_batch


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows of a table as a model reads them.

    Args:
        estimator: The model.
        X: The columns that it reads, as they are written.
        others: The other columns, but the target.
        known: The target as it is written, a column; None if it is not known.
        rows: The rows, encoded.
    """

    estimator: TabAttnRegressor | TabAttnClassifier
    X: pd.DataFrame
    others: pd.DataFrame
    known: pd.DataFrame | None
    rows: Rows

    def predictions(self, output: Array) -> pd.DataFrame:
        """Return what is predicted of each row, behind what tells the rows apart.

        Args:
            output: What the model predicts, see `FittedModel.predict`.
        """
        fitted = self.estimator.fitted_model_
        target, record = fitted.encoder.target, fitted.record
        if isinstance(target, NumberEncoding):
            parts = [_numbered("prediction", output)]
            if record is not None:
                low, high = record.range_of(target, output)
                parts += [_numbered("low", low), _numbered("high", high)]
        else:
            classes = target.classes if isinstance(target, ClassEncoding) else np.arange(target.n_outputs)
            probabilities = pd.DataFrame(output, columns=[f"probability_{name}" for name in classes])
            parts = [_numbered("prediction", decide(target, output)), probabilities]
        ours = {"row", *(str(name) for part in parts for name in part.columns)}
        keys = [part.reset_index(drop=True) for part in (self.others, self.known) if part is not None]
        keys = [
            part.rename(columns={name: f"{name} (table)" for name in part.columns if name in ours}) for part in keys
        ]
        return pd.concat([pd.DataFrame({"row": np.arange(1, len(output) + 1)}), *keys, *parts], axis=1)


def new_rows(model: Any, data: Any, target: str | None = None, **reading: Any) -> NewRows:
    """Read a table for a model.

    Args:
        model: A fitted estimator, a ranking, or the path of a saved model.
        data: The table, or the path of its file, with the columns that the model was fitted on.
        target: Name of the column with the true target; None if it is not known.
        reading: Further arguments of `tabattn.table.reading.read_table`, for a file.

    Raises:
        TabAttnError: The model or the table is at fault.
    """
    estimator = _estimator_of(model)
    return _rows_of(estimator, read_any(data, **reading), target)


def _estimator_of(model: Any) -> TabAttnRegressor | TabAttnClassifier:
    """Return a fitted estimator: that of a file, or of a ranking, or the one that is given.

    Raises:
        ParameterError: It is something else, or not fitted.
    """
    if isinstance(model, str | Path):
        return load(model)
    estimator: TabAttnRegressor | TabAttnClassifier = getattr(model, "estimator", model)
    is_ours = isinstance(estimator, TabAttnRegressor | TabAttnClassifier)
    if not is_ours or not hasattr(estimator, "fitted_model_"):
        raise ParameterError(
            "model must be a fitted estimator, a ranking, or the path of a saved model, got "
            f"{type(model).__name__}{' that is not fitted' * is_ours}."
        )
    return estimator


def _rows_of(
    estimator: TabAttnRegressor | TabAttnClassifier, table: pd.DataFrame, target: str | None = None
) -> NewRows:
    """Return the rows of a table in memory."""
    refuse_duplicate_names(table)
    table = table.set_axis([str(name) for name in table.columns], axis=1)
    names = estimator.schema_.names
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise TableError(
            f"The table must have the columns that the model was fitted on, got none named {quoted(absent)}."
        )
    X = table[list(names)]
    y = None if target is None else _target_of(estimator, table, target)
    rows = estimator.read(X if hasattr(estimator, "feature_names_in_") else X.to_numpy(), y)
    others = table[[name for name in table.columns if name not in names and name != target]]
    return NewRows(estimator, X, others, None if target is None else table[[target]], rows)


@torch_defaults()
def predict(
    model: Any,
    data: Any,
    *,
    sheet: str | int | None = None,
    header_row: int | None = None,
    units_row: int | None = None,
    max_memory: float | None = None,
) -> pd.DataFrame:
    """Predict new rows with a fitted model.

    Args:
        model: A fitted estimator, a ranking, or the path of a saved model.
        data: The table, or the path of its file, with the columns that the model was fitted on.
        sheet: Name or number of the sheet of a workbook; None for the first that holds a table. This and the next three
            are for files, see `tabattn.table.reading.read_table`.
        header_row: Number of the row of names, from 1 on; None to find it.
        units_row: Number of the row of units, 0 for none; None to find it.
        max_memory: Gigabytes that reading may take; None for most of what is free.

    Returns:
        One row per row of the table: `row` (its number, from 1 on), the cells of the columns that the model does not
        read, such as serial numbers, `prediction`, and `low` and `high`, between which nine tenths of such targets
        lie (see `HeldOutRecord.range_of`), or `probability_...` of each class.

    Raises:
        TabAttnError: The model or the table is at fault; the message states what to do.

    Example:
        >>> X = pd.DataFrame({"heat": np.linspace(-1, 1, 60), "dust": np.tile([0.0, 1.0], 30)})
        >>> est = TabAttnRegressor(n_members=2, d_token=8, max_epochs=5, random_state=0).fit(X, X["heat"])
        >>> predict(est, X.assign(lot=7)).columns.tolist()
        ['row', 'lot', 'prediction', 'low', 'high']
    """
    reading: dict[str, Any] = {"may_sample": False} if isinstance(data, str | Path) else {}
    reading |= {"sheet": sheet, "header_row": header_row, "units_row": units_row, "max_memory": max_memory}
    new = new_rows(model, data, **reading)
    fitted = new.estimator.fitted_model_.on(new.estimator.device)
    return new.predictions(fitted.predict(new.rows))


@torch_defaults()
def predict_files(model: Any, data: str | Path, directory: str | Path) -> int:
    """Predict a table of any size, of Parquet or Arrow files, batch by batch, to a directory.

    Args:
        model: A fitted estimator, a ranking, or the path of a saved model.
        data: A file, a directory, a pattern or an address, see `tabattn.table.reading.read_table`.
        directory: Where to: a Parquet file for each file of the table, in their order, with what `predict` returns;
            made if it does not exist. Either all files are written or none.

    Returns:
        The number of rows.

    Raises:
        TabAttnError: The model or the table is at fault; the message states what to do.
    """
    from pyarrow import parquet

    estimator = _estimator_of(model)
    if not is_file_set(data) and Path(data).suffix.lower() not in SUFFIXES:
        raise ParameterError(
            f"--out must end in .csv or .parquet for one file that is not Parquet or Arrow, got the directory "
            f"{str(directory)!r}. Name a file."
        )
    fitted = estimator.fitted_model_.on(estimator.device)
    found = FileSet.opened(data)
    n_before = np.cumsum([0, *found.counts])
    schema = _first_schema(estimator, fitted, found)

    def write(path: Path, number: int) -> None:
        n_done = int(n_before[number])
        with parquet.ParquetWriter(path, schema) as writer:
            for batch in found.batches_of(number):
                rows = _predicted(estimator, fitted, batch, n_done)
                n_done += len(rows)
                writer.write_table(rows.cast(schema))

    names = [f"{number:05d}.parquet" for number in range(found.n_files)]
    writers = {name: functools.partial(write, number=i) for i, name in enumerate(names)}
    write_all(Path(directory), writers, "_manifest.json")  # readers of Parquet files leave names with _ out
    return found.n_rows


def _first_schema(estimator: TabAttnRegressor | TabAttnClassifier, fitted: FittedModel, found: FileSet) -> Any:
    """Return the types of the columns that are written."""
    first = next(found.batches(), None)
    if first is None:
        raise TableError(f"The table must have rows, got none in {found.location!r}.")
    return _predicted(estimator, fitted, first.slice(0, 1), 0).schema


def _predicted(estimator: TabAttnRegressor | TabAttnClassifier, fitted: FittedModel, batch: Any, n_before: int) -> Any:
    """Return what is predicted of a batch as a table of PyArrow, with numbers of rows that go on."""
    import pyarrow as pa

    new = _rows_of(estimator, table_of_batch(batch))
    rows = new.predictions(fitted.predict(new.rows))
    rows["row"] += n_before
    return pa.Table.from_pandas(with_plain_cells(rows), preserve_index=False)


def _target_of(fitted: TabAttnRegressor | TabAttnClassifier, table: pd.DataFrame, target: str) -> Any:
    """Read the true target in the form that the model was fitted on."""
    if target not in table.columns:
        raise TargetError(f"The target must be a column of the table, got {target!r}. Leave it out if it is not known.")
    column: AnySeries = table[target]
    n_missing = int((~known_cells(column, target, fitted.schema_.rules)).sum())
    if n_missing:
        raise TargetError(
            f"The target must be known in every row, got {target!r} with {n_missing} cell(s) missing. "
            "Leave these rows out, or the target."
        )
    encoding = fitted.fitted_model_.encoder.target
    values, is_known, doubts = known_target(encoding, column, target)
    warn_all(doubts)
    if not is_known.all():
        others = column[~is_known].map(lambda cell: level_name(cell).strip())
        shown = quoted(others.unique().tolist())
        raise TargetError(f"The target must hold classes that fit has seen, got {shown}. Leave these rows out.")
    return values


def _numbered(name: str, values: Array) -> pd.DataFrame:
    """Return a table of one column, or of one for each output."""
    return pd.DataFrame(
        {name: values} if values.ndim == 1 else {f"{name}_{i}": each for i, each in enumerate(values.T)}
    )
