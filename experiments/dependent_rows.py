"""Which rows are held out: what random and right splits say of tables whose rows belong together, and who is warned.

    python -m experiments.dependent_rows
    python -m experiments.dependent_rows --kinds blocks --n-tables 5

Tables of 400 rows with one driver, `dose`, and six idle columns. In *blocks* three of the idle ones are settings of a
block (constant in it), and a share of the variance of the target is that of the block, which nothing explains; the
block has a label in every other table, and its rows stand next to each other in every third. In *time* all columns
and the rest of the target are AR(1) with the same parameter, in the order of time; every other table has the time as
a column.

For each table: R² of gradient boosting with rows held out at random and with whole blocks (or blocks of time) held out;
the best rank of an idle column by permutation importance of rows that were held out in each way, and, in the first
tables of each cell, by `tabattn.rank` (--n-ranked); whether `rank` would warn of dependent rows
(`tabattn.diagnostics.linked_rows`). Kept in results/dependent_rows.csv table by table;
dependent_rows_summary.csv has the means, the share of warned tables, and that of those whose random score overstates
the right one by more than .1, all of which should be warned; dependent_rows.png draws it.
"""

import argparse
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import permutation_importance
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, KFold

from experiments.result_file import ResultFile, add_result_arguments
from tabattn import rank
from tabattn.diagnostics.leaks import SplitRows
from tabattn.diagnostics.linked_rows import linked_row_findings
from tabattn.encoding.preprocessing import Preprocessor
from tabattn.errors import TabAttnWarning
from tabattn.table.inference import infer_table
from tabattn.table.links import RowLinks
from tabattn.table.problem import split_target

COMMAND = "python -m experiments.dependent_rows"
KEYS = ("kind", "size", "strength", "seed")
N_ROWS, N_TIME_BLOCKS, N_FOLDS, DRIVER = 400, 10, 5, "dose"
SIZES, SHARES, PARAMETERS = (2, 5, 10, 25, 50), (0.0, 0.3, 0.6, 0.9), (0.0, 0.5, 0.9, 0.99)
OVERSTATED = 0.1
LABELS = {"random": "R², rows held out at random", "right": "R², whole blocks held out", "warned": "share warned"}
STRENGTHS = {"blocks": "share of the variance between blocks", "time": "AR(1) parameter"}


def blocks(size: int, share: float, seed: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Return a table of blocks with its target `y`, and the block of each row."""
    random = np.random.default_rng([seed, size, round(100 * share)])
    block = np.arange(N_ROWS) // size
    if seed % 3:
        block = random.permutation(block)
    n_blocks = block.max() + 1
    table = pd.DataFrame(random.normal(size=(n_blocks, 3))[block], columns=["heat", "flow", "gas"])
    table = table.join(pd.DataFrame(random.normal(size=(N_ROWS, 4)), columns=["a", "b", "c", DRIVER]))
    own = 0.7 * table[DRIVER] + 0.7 * random.normal(size=N_ROWS)
    table["y"] = share**0.5 * random.normal(size=n_blocks)[block] + (1 - share) ** 0.5 * own
    if seed % 2:
        table.insert(0, "lot", [f"L{each}" for each in block])
    return table, block


def in_time(parameter: float, seed: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Return a table of AR(1) columns with its target `y`, in the order of time, and the block of time of each row."""
    random = np.random.default_rng([seed, 1, round(100 * parameter)])
    noise = random.normal(size=(N_ROWS, 7)) * (1 - parameter**2) ** 0.5
    values = np.zeros_like(noise)
    values[0] = random.normal(size=7)
    for row in range(1, N_ROWS):
        values[row] = parameter * values[row - 1] + noise[row]
    table = pd.DataFrame(values[:, :6], columns=["heat", "flow", "gas", "a", "b", "c"])
    table[DRIVER] = random.normal(size=N_ROWS)
    table["y"] = values[:, 6] + 0.7 * table[DRIVER]
    if seed % 2:
        table.insert(0, "time", pd.date_range("2024-01-01", periods=N_ROWS, freq="h"))
    return table, np.arange(N_ROWS) * N_TIME_BLOCKS // N_ROWS


def measure(kind: str, table: pd.DataFrame, block: np.ndarray[Any, Any], is_ranked: bool) -> dict[str, float]:
    """Score and rank with both splits, and ask whether there is a warning."""
    problem = split_target(table, "y")
    typed = infer_table(problem.X)
    preprocessor, raw = Preprocessor.learned(typed)
    rows = np.arange(N_ROWS)
    split = SplitRows(typed, raw.design, problem, rows, rows[:0])
    found = linked_row_findings(split, preprocessor.layout, RowLinks(), 0)
    X, y = table.drop(columns=["y", *{"lot", "time"} & set(table)]), table["y"].to_numpy()
    measures: dict[str, float] = {"warned": float(len(found) > 0)}
    ways = {"random": KFold(N_FOLDS, shuffle=True, random_state=0), "right": GroupKFold(N_FOLDS)}
    for name, folds in ways.items():
        predicted, importance = np.zeros(N_ROWS), np.zeros(X.shape[1])
        for train, held_out in folds.split(X, y, *([block] if name == "right" else [])):
            model = HistGradientBoostingRegressor(random_state=0).fit(X.iloc[train], y[train])
            predicted[held_out] = model.predict(X.iloc[held_out])
            shuffled = permutation_importance(model, X.iloc[held_out], y[held_out], n_repeats=3, random_state=0)
            importance += shuffled.importances_mean
        ranks = pd.Series(importance, X.columns).rank(ascending=False)
        measures |= {name: r2_score(y, predicted), f"idle rank, {name}": ranks.drop(DRIVER).min()}
    X = X.assign(y=y)
    measures |= {"idle rank of rank, random": np.nan, "idle rank of rank, right": np.nan}
    if is_ranked:
        in_blocks = X.assign(block=block)
        measures["idle rank of rank, random"] = _best_idle(X)
        measures["idle rank of rank, right"] = (
            _best_idle(in_blocks, order_by="block") if kind == "time" else _best_idle(in_blocks, split_by="block")
        )
    return {each: round(value, 4) for each, value in measures.items()}


def _best_idle(table: pd.DataFrame, split_by: str | tuple[()] = (), order_by: str | None = None) -> float:
    """Return the best rank that `tabattn.rank` gives to an idle column; the middle of tied ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabAttnWarning)
        ranking = rank(table, "y", split_by=split_by, order_by=order_by, n_repeats=1, random_state=0)
    ranks = ranking.table.set_index("feature")["importance"].drop("block", errors="ignore").rank(ascending=False)
    return float(ranks.drop(DRIVER).min())


def summarize(cells: pd.DataFrame) -> pd.DataFrame:
    """Return means by kind, size and strength, and the share of tables that should be warned of and are."""
    cells = cells.assign(overstated=(cells["random"] - cells["right"].clip(lower=0) > OVERSTATED).astype(float))
    ranks = [f"{name}, {way}" for name in ("idle rank", "idle rank of rank") for way in ("random", "right")]
    measures = ["random", "right", *ranks, "overstated", "warned"]
    means = cells.groupby(["kind", "size", "strength"], as_index=False)[measures].mean()
    told = cells[cells["overstated"] == 1].groupby(["kind", "size", "strength"])["warned"].mean()
    counts = cells.groupby(["kind", "size", "strength"]).size()
    by_cell = pd.MultiIndex.from_frame(means[["kind", "size", "strength"]])
    return means.assign(
        **{"warned where overstated": told.reindex(by_cell).to_numpy(), "tables": counts.to_numpy()}
    ).round(3)


def draw(summary: pd.DataFrame) -> Figure:
    """Draw both scores and the share of warned tables against the strength of the dependence."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    kinds = list(summary.groupby("kind"))
    axes = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for ax, (kind, rows) in zip(axes, kinds, strict=True):
        means = rows.groupby("strength")[["random", "right", "warned"]].mean()
        for name, style in (("random", "o-"), ("right", "s-"), ("warned", "^:")):
            label = {"random": "R², rows held out at random", "right": "R², whole blocks held out"}.get(
                name, "share warned"
            )
            ax.plot(means.index, means[name], style, label=label)
        ax.axhline(0, color="0.8", zorder=0)
        ax.set(
            xlabel="share of variance of blocks" if kind == "blocks" else "AR(1) parameter",
            title=kind,
            ylim=(-0.6, 1.05),
        )
    figure.axes[0].legend(frameon=False)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kinds", nargs="+", default=["blocks", "time"], choices=["blocks", "time"])
    parser.add_argument("--n-tables", type=int, default=20, help="tables of each kind, size and strength")
    parser.add_argument("--n-ranked", type=int, default=3, help="of these, tables that `rank` ranks too")
    add_result_arguments(parser, "dependent_rows.csv")
    options = parser.parse_args(arguments)
    result = ResultFile(options.out, COMMAND, KEYS, options.stale)
    cases: list[tuple[str, int, float]] = [
        *(("blocks", size, share) for size in SIZES for share in SHARES),
        *(("time", 1, parameter) for parameter in PARAMETERS),
    ]
    for seed in range(options.n_tables):
        for kind, size, strength in cases:
            if kind not in options.kinds or result.is_measured(kind, size, strength, seed):
                continue
            made = blocks(size, strength, seed) if kind == "blocks" else in_time(strength, seed)
            measured = measure(kind, *made, is_ranked=seed < options.n_ranked)
            result.keep({"kind": kind, "size": size, "strength": strength, "seed": seed} | measured)
    summary = summarize(result.read())
    result.write_summary(summary)
    draw(summary).savefig(result.beside(".png"), dpi=150)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
