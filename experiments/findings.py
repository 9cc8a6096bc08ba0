"""What each finding of `rank` is worth: how often it comes where there is nothing of it and where there is, its cost.

    python -m experiments.findings
    python -m experiments.findings --parts costs --data DIR

*nothing*: tables of 150 to 1,000 rows with 7 or 12 columns (numbers that correlate, categories, cells missing at
random), three of which drive the target by different amounts, for regression and classification in turn. Whatever is
found in them is a false alarm. *something*: the same tables with one thing wrong, for each code in turn; is it found?
Both by `rank` with the defaults, but 40 epochs. *costs*: CPU seconds of all diagnostics beside those of the fit, on
real tables. Kept in results/findings.csv table by table; findings_summary.csv has the share of tables in which each
code was found, by what is wrong with them, and the costs as a share of the fit.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from experiments.result_file import ResultFile, add_result_arguments
from experiments.tables import add_data_argument, load_catalog
from tabattn import analysis, ranking
from tabattn.errors import TabAttnWarning

COMMAND = "python -m experiments.findings"
KEYS = ("part", "what", "seed")
N_EPOCHS, NUMBERS, CATEGORIES = 40, ("heat", "flow", "gas", "dose"), ("line", "shift", "team")
FURTHER = ("speed", "torque", "level", "width", "tilt")
DIAGNOSTICS = (
    (ranking, "same_columns"),
    (ranking, "same_column_findings"),
    (ranking, "ranking_findings"),
    (ranking, "score_findings"),
    (ranking, "target_findings"),
    (ranking, "absence_findings"),
    (ranking, "stability_findings"),
    (ranking, "linked_row_findings"),
    (analysis, "leaks_of"),
)
COST_TABLES = ("heart_cleveland", "concrete_strength", "wine_quality", "california_housing", "secom_207")
Table = pd.DataFrame
Random = np.random.Generator


def nothing(seed: int) -> Table:
    """Return a table in which nothing is wrong, with its target `y`."""
    random = np.random.default_rng([seed, 7])
    n_rows = (150, 300, 1000)[seed % 3]
    names = NUMBERS + (FURTHER if seed % 4 > 1 else ())
    shared = random.normal(size=(n_rows, 1))
    table = pd.DataFrame(0.6 * shared + 0.8 * random.normal(size=(n_rows, len(names))), columns=list(names))
    for name, levels in zip(CATEGORIES, ("ABC", "de", "uvwx"), strict=True):
        table[name] = random.choice(list(levels), n_rows)
    score = 1.5 * table["heat"] + 0.9 * table["flow"] + 0.8 * (table["line"] == "A")
    for name in ("gas", "team"):
        table.loc[random.random(n_rows) < 0.1, name] = None
    noisy = score + 0.6 * random.normal(size=n_rows)
    return table.assign(y=np.where(noisy > noisy.median(), "good", "bad") if seed % 2 else noisy)


def _is_class(table: Table) -> bool:
    return not pd.api.types.is_float_dtype(table["y"])


def _number(table: Table) -> "pd.Series[float]":
    """Return the target as a number that grows with it."""
    return (table["y"] == "good").astype(float) if _is_class(table) else table["y"].astype(float)


def _second(table: Table, random: Random) -> Table:
    noise = random.normal(size=len(table))
    number = _number(table)
    if _is_class(table):
        return table.assign(gauge=number + 0.25 * noise)
    return table.assign(gauge=number + 0.15 * number.std() * noise)


def _late(table: Table, random: Random) -> Table:
    number = _number(table)
    chance = np.where(number > number.median() - 0.25, 0.4, 0.05)
    return table.assign(tilt=np.where(random.random(len(table)) < chance, np.nan, random.normal(size=len(table))))


def _equal_drivers(table: Table, random: Random) -> Table:
    names = [f"x{i}" for i in range(10)]
    X = pd.DataFrame(random.normal(size=(len(table), 10)), columns=names)
    return X.assign(y=X.sum(axis=1) + 3 * random.normal(size=len(table)))


def _rare(table: Table, random: Random) -> Table:
    chosen = np.r_[np.flatnonzero(table["y"] == "good")[:6], np.flatnonzero(table["y"] == "bad")]
    other = np.flatnonzero(table["y"] == "good")[6:]
    return table.assign(y=np.where(np.isin(np.arange(len(table)), chosen), table["y"], "fair")).iloc[
        random.permutation(np.r_[chosen, other])
    ]


def _wide(table: Table, random: Random) -> Table:  # noqa: ARG001  # as all of SOMETHING
    number = _number(table)
    return table.assign(y=10 ** (2 * (number - number.mean()) / number.std()))


SOMETHING: Mapping[str, Callable[[Table, Random], Table]] = {
    "identifier": lambda table, random: table.assign(id=random.permutation(len(table)) + 10_000),
    "constant": lambda table, random: table.assign(same=random.choice(["x"], len(table))),
    "same_columns": lambda table, _: table.assign(heat_f=(table["heat"] * 1.8 + 32).round(1)),
    "leak": lambda table, _: table.assign(late=table["y"] if _is_class(table) else np.exp(table["y"])),
    "second_measurement": _second,
    "absence_is_signal": _late,
    "few_rows": lambda table, random: table.iloc[random.permutation(len(table))[:34]],
    "rare_classes": _rare,
    "imbalance": lambda table, _: table.drop(index=table.index[table["y"] == "good"][len(table) // 25 :]),
    "wide_target": _wide,
    "no_better_than_constant": lambda table, random: table.assign(y=random.permutation(table["y"])),
    "unsettled_ranks": _equal_drivers,
}
FOR_CLASSES, FOR_NUMBERS = frozenset({"rare_classes", "imbalance"}), frozenset({"wide_target"})


def codes_of(table: Table, seed: int) -> str:
    """Return what `rank` finds, code by code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabAttnWarning)
        found = ranking.rank(table, "y", max_epochs=N_EPOCHS, random_state=seed)
    return " ".join(found.diagnostics["code"])


def costs(path: str, target: str) -> dict[str, float]:
    """Rank a table, and return the CPU seconds of the fit and of all diagnostics together."""
    seconds = {"fit": 0.0, "diagnostics": 0.0}

    def timed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            start = time.process_time()
            result = function(*arguments, **named)
            result = result if name == "fit" or isinstance(result, Mapping) else list(result)
            seconds[name] += time.process_time() - start
            return result

        return call

    saved = [(room, name, vars(room)[name]) for room, name in (*DIAGNOSTICS, (analysis, "fit_model"))]
    try:
        for room, name, function in saved:
            setattr(room, name, timed(function, "fit" if name == "fit_model" else "diagnostics"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TabAttnWarning)
            ranking.rank(path, target)
    finally:
        for room, name, function in saved:
            setattr(room, name, function)
    return {name: round(value, 2) for name, value in seconds.items()}


def summarize(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the share of tables in which each code was found, and the costs."""
    rows: list[dict[str, Any]] = []
    for (part, what), group in cells[cells["part"] != "costs"].groupby(["part", "what"], sort=False):
        found = group["codes"].fillna("").str.split()
        for code in sorted({*SOMETHING, *found.explode().dropna()}):
            if part == "nothing" or code == what:
                share = float(found.map(lambda codes, code=code: code in codes).mean())
                rows.append({"part": part, "what": what, "measure": code, "value": share, "tables": len(group)})
    costs = cells[cells["part"] == "costs"]
    for what, share in zip(costs["what"], costs["diagnostics"] / costs["fit"], strict=True):
        rows.append({"part": "costs", "what": what, "measure": "share of fit", "value": share, "tables": 1})
    return pd.DataFrame(rows).round(3)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--parts", nargs="+", default=["nothing", "something", "costs"])
    parser.add_argument("--n-tables", type=int, default=100, help="tables with nothing wrong")
    parser.add_argument("--n-wrong", type=int, default=12, help="tables with each thing wrong")
    parser.add_argument("--tables", nargs="+", default=COST_TABLES, help="real tables that costs are measured on")
    add_result_arguments(parser, "findings.csv")
    options = parser.parse_args(arguments)
    result = ResultFile(options.out, COMMAND, KEYS, options.stale)

    def keep(part: str, what: str, seed: int, **measured: Any) -> None:
        empty = {"codes": None, "fit": None, "diagnostics": None}
        result.keep({"part": part, "what": what, "seed": seed} | empty | measured)

    if "nothing" in options.parts:
        for seed in range(options.n_tables):
            if not result.is_measured("nothing", "nothing", seed):
                keep("nothing", "nothing", seed, codes=codes_of(nothing(seed), seed))
    if "something" in options.parts:
        for what, make in SOMETHING.items():
            for seed in _seeds(what, options.n_wrong):
                if not result.is_measured("something", what, seed):
                    table = make(nothing(seed), np.random.default_rng([seed, 8]))
                    keep("something", what, seed, codes=codes_of(table, seed))
    if "costs" in options.parts:
        catalog = load_catalog(options.data)
        for name in options.tables:
            if not result.is_measured("costs", name, 0):
                keep("costs", name, 0, **costs(str(catalog[name].path), catalog[name].target))
    summary = summarize(result.read())
    result.write_summary(summary)
    print(summary.to_string(index=False))


def _seeds(what: str, n_tables: int) -> Sequence[int]:
    """Return seeds of tables that can have this wrong with them."""
    seeds = range(2 * n_tables)
    if what in FOR_CLASSES or what in FOR_NUMBERS:
        return [seed for seed in seeds if seed % 2 == (what in FOR_CLASSES)]
    return seeds[:n_tables]


if __name__ == "__main__":
    main()
