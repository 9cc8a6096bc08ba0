"""How many of the columns that other rules select add nothing, on the tables of `experiments.significance`?

    pip install 'tabattn[peers]'
    python -m experiments.false_discoveries
    python -m experiments.false_discoveries --designs ar1 --contenders permutation --n-seeds 3

Rules, each with the defaults of its package, at a false discovery rate of .1 where one can be asked for:

- permutation: scikit-learn's permutation importance (10 shuffles of the fifth of the rows that gradient boosting was
  not fitted on) with a mean above two standard deviations, as scikit-learn's user guide lists columns;
- boruta: BorutaPy with a random forest of depth 5, confirmed columns;
- cfi, cfi_cv, loco_cv: hidimstat's conditional feature importance with one split, the same with five, and leaving one
  column out with five, with gradient boosting.

Kept in results/false_discoveries.csv; false_discoveries_summary.csv has the means over tables, beside those of `rank`
on the same seeds from significance.csv, and false_discoveries.png draws them.
"""

import argparse
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold, train_test_split

from experiments.result_file import RESULTS, ResultFile, add_result_arguments, read_rows
from experiments.significance import DESIGNS, table_of
from tabattn.arrays import Array

COMMAND = "python -m experiments.false_discoveries"
KEYS = ("design", "n_rows", "seed", "contender")
FDR, N_SHUFFLES, N_SPLITS = 0.1, 10, 5
OURS = "tabattn"
MEASURES = ("fdr", "power", "any_false")
NAMES = {
    OURS: "tabattn",
    "permutation": "permutation > 2 std",
    "boruta": "Boruta",
    "cfi": "hidimstat CFI",
    "cfi_cv": "hidimstat CFI, 5 splits",
    "loco_cv": "hidimstat LOCO, 5 splits",
}


def by_permutation(X: Array, y: Array, seed: int) -> Array:
    """Select by the mean over shuffles and their standard deviation."""
    parts = train_test_split(X, y, test_size=0.2, random_state=seed)
    model = HistGradientBoostingRegressor(random_state=seed).fit(parts[0], parts[2])
    found = permutation_importance(model, parts[1], parts[3], n_repeats=N_SHUFFLES, random_state=seed)
    selected: Array = found.importances_mean - 2 * found.importances_std > 0
    return selected


def by_boruta(X: Array, y: Array, seed: int) -> Array:
    """Select what Boruta confirms."""
    from boruta import BorutaPy

    forest = RandomForestRegressor(max_depth=5, random_state=seed)
    selected: Array = BorutaPy(forest, n_estimators="auto", random_state=seed).fit(X, y).support_
    return selected


def by_cfi(X: Array, y: Array, seed: int) -> Array:
    """Select by hidimstat's conditional importance with one split."""
    from hidimstat import CFI

    parts = train_test_split(X, y, test_size=0.2, random_state=seed)
    model = HistGradientBoostingRegressor(random_state=seed).fit(parts[0], parts[2])
    found = CFI(model, random_state=seed)
    found.fit(parts[0])
    found.importance(parts[1], parts[3])
    selected: Array = found.fdr_selection(FDR) > 0
    return selected


def by_cfi_cv(X: Array, y: Array, seed: int) -> Array:
    """Select by the same with five splits and a corrected t-test."""
    from hidimstat import CFICV

    return _by_splits(CFICV, X, y, seed, random_state=seed)


def by_loco_cv(X: Array, y: Array, seed: int) -> Array:
    """Select by the loss without each column, refitted, over five splits."""
    from hidimstat import LOCOCV

    return _by_splits(LOCOCV, X, y, seed)


def _by_splits(kind: Callable[..., Any], X: Array, y: Array, seed: int, **more: Any) -> Array:
    splits = KFold(N_SPLITS, shuffle=True, random_state=seed)
    found = kind(HistGradientBoostingRegressor(random_state=seed), splits, **more)
    found.fit_importance(X, y)
    selected: Array = found.fdr_selection(FDR) > 0
    return selected


CONTENDERS: Mapping[str, Callable[[Array, Array, int], Array]] = {
    "permutation": by_permutation,
    "cfi": by_cfi,
    "cfi_cv": by_cfi_cv,
    "loco_cv": by_loco_cv,
    "boruta": by_boruta,
}


def measure(table: pd.DataFrame, drivers: Sequence[str], contender: str, seed: int) -> dict[str, float]:
    """Select columns of a table, and count."""
    X = table.drop(columns="y")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        selected = np.asarray(CONTENDERS[contender](X.to_numpy(), table["y"].to_numpy(), seed), dtype=bool)
    is_driver = X.columns.isin(list(drivers))
    n_false = int((selected & ~is_driver).sum())
    power = float(selected[is_driver].mean()) if len(drivers) else float("nan")
    return {"fdr": n_false / max(1, int(selected.sum())), "power": power, "any_false": float(n_false > 0)}


def summarize(cells: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Return means over tables, ours over those that the others have selected from.

    Args:
        cells: One row for each table and contender.
        ours: The rows of significance.csv.
    """
    keys = list(KEYS[:3])
    shared = ours.merge(cells[keys].drop_duplicates(), on=keys).assign(contender=OURS)
    joined = pd.concat([shared[[*KEYS, *MEASURES]], cells[[*KEYS, *MEASURES]]]).astype(dict.fromkeys(MEASURES, float))
    grouped = joined.groupby(["design", "n_rows", "contender"], as_index=False, sort=False)
    return grouped[list(MEASURES)].mean().assign(tables=grouped.size()["size"]).round(3)


def draw(summary: pd.DataFrame) -> Figure:
    """Draw the share of false discoveries of each rule beside the share of drivers that it finds."""
    shown = summary[summary["design"] != "null"]
    designs = list(dict.fromkeys(shown["design"]))
    contenders = [name for name in NAMES if name in set(shown["contender"])]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    width = 0.8 / len(contenders)
    for ax, measure_name, title in zip(
        axes, MEASURES, ("False among the selected (dashed: asked for)", "Drivers found"), strict=False
    ):
        for number, contender in enumerate(contenders):
            values = shown[shown["contender"] == contender].set_index("design")[measure_name].reindex(designs)
            ax.bar(np.arange(len(designs)) + (number + 0.5) * width - 0.4, values, width, label=NAMES[contender])
        ax.set_xticks(range(len(designs)), designs)
        ax.set_title(title)
    axes[0].axhline(FDR, color="black", linewidth=1, linestyle="--")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, sum up, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--designs", nargs="+", default=("ar1", "block", "curve", "null"), choices=DESIGNS)
    parser.add_argument("--n-rows", nargs="+", type=int, default=[500])
    parser.add_argument("--n-seeds", type=int, default=20)
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=CONTENDERS)
    parser.add_argument(
        "--ours", type=Path, default=RESULTS / "significance.csv", help="the cells of experiments.significance"
    )
    add_result_arguments(parser, "false_discoveries.csv")
    options = parser.parse_args(arguments)
    result = ResultFile(options.out, COMMAND, KEYS, options.stale)
    for contender in options.contenders:
        for seed in range(options.n_seeds):
            for n_rows in options.n_rows:
                for design in options.designs:
                    if not result.is_measured(design, n_rows, seed, contender):
                        table, drivers = table_of(design, n_rows, seed)
                        found = measure(table, drivers, contender, seed)
                        cell = {"design": design, "n_rows": n_rows, "seed": seed, "contender": contender}
                        result.keep(cell | {name: round(value, 4) for name, value in found.items()})
    summary = summarize(result.read(), read_rows(options.ours))
    result.write_summary(summary)
    draw(summary).savefig(result.beside(".png"), dpi=150)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
