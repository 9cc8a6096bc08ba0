"""Does a table full of holes rank as well as a full one?

    python -m experiments.holes --data DIR      # measures what is not measured yet, half an hour

Cells of full tables are taken out at random, the same share of every column, in the rows that are fitted and in those
that are read; two tables that came with their holes are measured as they are. At most 1,000 rows are fitted and 500
read, at most 40 epochs. Kept per cell in results/holes.csv: R^2 or accuracy on the rows read, the Spearman correlation
of the default score with permutation importance of the same model (5 repeats), and how far each of the two rankings is
that of the full table with the same seed (Spearman). holes_summary.csv has means over tables and seeds.
"""

import argparse
import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from experiments.cells import keep, measured
from experiments.machine import describe_machine
from experiments.splits import SplitTable, split_table
from experiments.tables import add_data_argument, load_catalog
from tabattn import TabAttnClassifier, TabAttnRegressor

RESULTS = Path(__file__).parent / "results"
CELLS, SUMMARY = RESULTS / "holes.csv", RESULTS / "holes_summary.csv"
COMMAND = "python -m experiments.holes --data DIR"
KEYS = ("table", "holes", "seed")
FULL_TABLES = (
    "concrete_strength",
    "energy_efficiency",
    "abalone",
    "wine_quality",
    "steel_plates_faults",
    "heart_cleveland",
)
TABLES_WITH_HOLES = ("secom_207", "steel_annealing")
SHARES = (0.0, 0.3, 0.6)
SEEDS = (0, 1)
MAX_FITTED, MAX_READ, N_EPOCHS, N_REPEATS = 1_000, 500, 40, 5


def punched(X: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Take a share of the cells out, at random."""
    is_hole = np.random.default_rng(seed).random(X.shape) < share
    return X.astype(object).mask(is_hole, None).infer_objects() if share else X


def scores(table: SplitTable, share: float, seed: int) -> dict[str, Any]:
    """Fit a table with holes, and return its score and both rankings."""
    draw = np.random.default_rng(0)
    train = draw.permutation(np.concatenate([table.train, table.validation]))[:MAX_FITTED]
    test = draw.permutation(table.test)[:MAX_READ]
    X, y = punched(table.problem.X, share, seed), table.problem.y
    model = TabAttnRegressor if table.problem.task == "regression" else TabAttnClassifier
    est = model(max_epochs=N_EPOCHS, random_state=seed).fit(X.iloc[train], y.iloc[train])
    test = test[np.isin(y.iloc[test], y.iloc[train])] if table.problem.task == "classification" else test
    X_test, y_test = X.iloc[test], y.iloc[test]
    ranked = est.importance_table(X_test, y_test).set_index("feature")["importance"]
    return {
        "score": round(float(est.score(X_test, y_test)), 4),
        "missing": round(float(X_test.isna().to_numpy().mean()), 3),
        "attention": ranked.reindex([str(name) for name in X.columns]).to_numpy(),
        "permutation": est.permutation_scores(X_test, y_test, n_repeats=N_REPEATS).mean,
    }


def correlation(left: Any, right: Any) -> float:
    """Spearman's, to four digits."""
    return round(float(spearmanr(left, right).statistic), 4)


def measure(
    name: str, table: SplitTable, share: float, seed: int, known: dict[tuple[str, int], dict[str, Any]]
) -> dict[str, Any]:
    """Measure a table with holes beside itself without, whose scores may be known."""
    if (name, seed) not in known:
        known[name, seed] = scores(table, 0.0, seed)
    full = known[name, seed] if share else None
    found = scores(table, share, seed) if share else known[name, seed]
    return {
        "table": name,
        "holes": share,
        "seed": seed,
        "missing": found["missing"],
        "score": found["score"],
        "agreement": correlation(found["attention"], found["permutation"]),
        **{
            f"{ranking}_as_full": correlation(found[ranking], full[ranking]) if full else ""
            for ranking in ("attention", "permutation")
        },
    }


def main() -> None:
    """Measure what is not measured yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    catalog = load_catalog(parser.parse_args().data)
    asked = [*itertools.product(SHARES, SEEDS, FULL_TABLES), *itertools.product((0.0,), SEEDS, TABLES_WITH_HOLES)]
    known: dict[tuple[str, int], dict[str, Any]] = {}
    for share, seed, name in asked:
        if (name, share, seed) not in measured(CELLS, KEYS):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                keep(CELLS, measure(name, split_table(catalog[name]), share, seed, known), COMMAND)
    cells = pd.read_csv(CELLS, comment="#")
    cells["tables"] = np.where(cells["table"].isin(TABLES_WITH_HOLES), cells["table"], "full tables")
    measures = ["missing", "score", "agreement", "attention_as_full", "permutation_as_full"]
    summary = cells.groupby(["tables", "holes"])[measures].mean().reset_index()
    text = summary.to_csv(index=False, lineterminator="\n", float_format="%.3f")
    SUMMARY.write_text(f"# {COMMAND}; {describe_machine()}\n{text}", encoding="utf-8")
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
