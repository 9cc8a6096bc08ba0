"""What new rows hold that the rows that were fitted did not, and whether they are predicted as well."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import norm

from tabattn.arrays import Array
from tabattn.diagnostics.findings import Finding
from tabattn.encoding.blocks import BlockEncoder, DateEncoder
from tabattn.encoding.preprocessing import MISSING, Preprocessor, RawCells
from tabattn.encoding.target import ClassEncoding, NumberEncoding, TargetEncoding
from tabattn.errors import quoted
from tabattn.fitted.record import RANGE, HeldOutRecord

N_SHOWN = 10
MANY_OUTSIDE, MAX_P_VALUE, MUCH_WORSE = 0.05, 0.001, 0.05


def outside_shares(preprocessor: Preprocessor, raw: RawCells) -> pd.DataFrame:
    """Return how much of each column is not as in the rows that were fitted.

    Args:
        preprocessor: What was learned of those rows.
        raw: Numbers and codes of the new rows, at least one.

    Returns:
        One row per column of the table: `outside`, the share of cells beyond the range of numbers and dates, or with a
        level that was not fitted, or in less than two rows; `missing`, that of cells without a value. NaN for columns
        that the model does not read, and `outside` for texts.
    """
    schema, layout = preprocessor.schema, preprocessor.layout
    n_columns = len(schema.columns)
    outside, missing = np.full(n_columns, np.nan), np.full(n_columns, np.nan)
    n_single = len(schema.number_positions)
    for place, position in enumerate((*schema.number_positions, *schema.block_positions)):
        numbers = raw.numbers[:, layout.first_numbers[place]]
        missing[position] = np.isnan(numbers).mean()
        if place < n_single or _is_in_order(preprocessor.blocks[place - n_single]):
            assert preprocessor.normal_scores is not None, "there are numbers"
            quantiles = preprocessor.normal_scores.quantiles[:, layout.first_numbers[place]]
            outside[position] = ((numbers < quantiles[0]) | (numbers > quantiles[-1])).mean()
    for place, position in enumerate(schema.code_positions):
        codes = raw.codes[:, place]
        missing[position], outside[position] = (codes == MISSING).mean(), (codes == 0).mean()
    names = pd.Series(schema.names, dtype="str")
    return pd.DataFrame({"feature": names, "outside": outside, "missing": missing})


def _is_in_order(block: BlockEncoder) -> bool:
    """Return whether the first number of a block grows with the cell: that of dates, seconds, if it was kept."""
    return isinstance(block.parts, DateEncoder) and bool(block.is_kept[0])


def empty_rows(raw: RawCells) -> Array:
    """Return in which rows all cells that the model reads are missing.

    Args:
        raw: Numbers and codes of the rows.
    """
    is_empty: Array = np.isnan(raw.numbers).all(axis=1) & (raw.codes == MISSING).all(axis=1)
    return is_empty


def new_row_findings(
    shares: pd.DataFrame,
    is_empty: Array,
    target: TargetEncoding,
    record: HeldOutRecord | None,
    output: Array,
    y: Array | None,
) -> Iterator[Finding]:
    """Find what a reader of predictions for new rows should know.

    Args:
        shares: What `outside_shares` returned.
        is_empty: What `empty_rows` returned.
        target: Encoding of the target.
        record: How good predictions of held-out rows were, if that is known.
        output: What is predicted.
        y: What came true, if that is known.
    """
    found = shares[shares["outside"] > MANY_OUTSIDE].sort_values("outside", ascending=False, kind="stable")
    if len(found):
        said = ", ".join(f"{row.feature!r} ({row.outside:.0%})" for row in found.head(N_SHOWN).itertuples())
        more = "" if len(found) <= N_SHOWN else f" and {len(found) - N_SHOWN} more"
        yield Finding(
            "outside_range",
            "Cells beyond what was fitted",
            f"{said}{more}: cells beyond the range of the rows that were fitted, or with levels that these did not "
            "have. What is predicted there is a guess. Fit again with such rows.",
            columns=tuple(found["feature"]),
            numbers=dict(zip(found["feature"].head(N_SHOWN), found["outside"].head(N_SHOWN).tolist(), strict=True)),
        )
    if is_empty.any():
        rows = [str(position + 1) for position in is_empty.nonzero()[0]]
        yield Finding(
            "empty_rows",
            "Rows without a value",
            f"{len(rows)} row(s) have no value in any column that the model reads (row {quoted(rows, N_SHOWN)}): their "
            "predictions say nothing.",
            numbers={"rows": len(rows)},
        )
    if record is None or y is None or len(y) < 2:
        return
    if isinstance(target, NumberEncoding) and target.is_single:
        low, high = record.range_of(target, output)
        share, usual = float(((y < low) | (y > high)).mean()), 1 - RANGE
        what = f"{share:.0%} of the rows lie outside of the range of their prediction, {usual:.0%} are to be expected"
    elif isinstance(target, ClassEncoding):
        share, usual = float((target.classes[output.argmax(axis=1)] != y).mean()), 1 - record.scores["accuracy"]
        what = f"{share:.0%} of the rows are predicted wrongly, in training {usual:.0%} of those held out were"
    else:
        return
    pooled = (share * len(y) + usual * record.n_rows) / (len(y) + record.n_rows)
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(y) + 1 / record.n_rows))
    if share > usual + MUCH_WORSE and error > 0 and norm.sf((share - usual) / error) < MAX_P_VALUE:
        yield Finding(
            "worse_than_training",
            "These rows are predicted worse",
            f"{what}: what drives the target may have changed. Look at drift.csv, and fit again with newer rows.",
            "serious",
            numbers={"here": share, "training": usual},
        )
