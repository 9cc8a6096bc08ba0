"""Every set of rows is parsed, transformed and warned of once, whatever is asked about it."""

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from tabattn import TabAttnClassifier, TabAttnRegressor, explain, rank
from tabattn.encoding.blocks import BlockEncoder
from tabattn.encoding.preprocessing import Preprocessor
from tabattn.errors import UnparsedCellsWarning
from tabattn.table.schema import Column
from tests.conftest import FAST

N_ROWS = 120


@pytest.fixture
def table() -> pd.DataFrame:
    """Columns of every kind, some cells of which can't be parsed."""
    rng = np.random.default_rng(0)
    words = rng.choice(["belt", "oil", "leaks", "pump"], (N_ROWS, 4))
    heat = pd.Series(rng.normal(size=N_ROWS)).round(3)
    return pd.DataFrame(
        {
            "heat": heat.astype(str).where(heat.index != 7, "broken"),
            "line": rng.choice(["A", "B"], N_ROWS),
            "flag": rng.random(N_ROWS) < 0.5,
            "day": pd.date_range("2024-01-01", periods=N_ROWS).strftime("%d.%m.%Y"),
            "note": [" ".join(row) + f" {i}" for i, row in enumerate(words)],
            "took": [f"{i % 24:02}:30" for i in range(N_ROWS)],
            "y": heat.fillna(0) + 0.1 * rng.normal(size=N_ROWS),
        }
    )


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, int]]:
    """How often so many rows were parsed (each column), encoded (each date and text) and transformed."""
    found: Counter[tuple[str, int]] = Counter()
    read, encoded = Column.read, BlockEncoder.transform
    learned, transform = BlockEncoder.learned.__func__, Preprocessor.transform  # type: ignore[attr-defined]

    def counted_read(self: Column, cells: Any) -> Any:
        found[f"parse {self.name}", len(cells)] += 1
        return read(self, cells)

    def counted_encode(self: BlockEncoder, cells: Any) -> Any:
        found["encode", len(cells.values)] += 1
        return encoded(self, cells)

    def counted_learn(cls: type[BlockEncoder], cells: Any) -> Any:
        found["encode", len(cells.values)] += 1
        return learned(cls, cells)

    def counted_transform(self: Preprocessor, raw: Any) -> Any:
        found["transform", len(raw.numbers)] += 1
        return transform(self, raw)

    monkeypatch.setattr(Column, "read", counted_read)
    monkeypatch.setattr(BlockEncoder, "transform", counted_encode)
    monkeypatch.setattr(BlockEncoder, "learned", classmethod(counted_learn))
    monkeypatch.setattr(Preprocessor, "transform", counted_transform)
    return found


def parses(X: pd.DataFrame, n_rows: int) -> dict[tuple[str, int], int]:
    return {(f"parse {name}", n_rows): 1 for name in X.columns}


@pytest.mark.filterwarnings("ignore::tabattn.errors.TabAttnWarning")
def test_rank_parses_all_rows_once_and_transforms_each_part_once(
    table: pd.DataFrame, counts: Counter[tuple[str, int]]
) -> None:
    rank(table, "y", max_epochs=1, n_repeats=2, n_members=1, n_layers=1, d_token=4)
    X = table.drop(columns="y")
    parts = {96: 1, 24: 1, N_ROWS: 1}  # fitted, held out, and for effects
    expected = parses(X, N_ROWS) | {("transform", n): once for n, once in parts.items()}
    assert counts == expected | {("encode", n): 2 for n in parts}, "a date and a text"


@pytest.mark.filterwarnings("ignore::tabattn.errors.TabAttnWarning")
@pytest.mark.parametrize("encoder", ["class", "bert"])
def test_explain_reads_its_rows_once(table: pd.DataFrame, counts: Counter[tuple[str, int]], encoder: Any) -> None:
    X, y = table.drop(columns="y"), np.where(table["y"] > 0, "high", "low")
    est = TabAttnClassifier(**FAST | {"max_epochs": 1}, encoder=encoder, random_state=0).fit(X, y)
    assert counts == parses(X, N_ROWS) | {("transform", N_ROWS): 1, ("encode", N_ROWS): 2}
    counts.clear()
    explain(est, X.head(50).assign(known=y[:50]), target="known")
    assert counts == parses(X, 50) | {("transform", 50): 1, ("encode", 50): 2}


@pytest.mark.filterwarnings("ignore::tabattn.errors.TabAttnWarning")
def test_a_fit_reads_each_set_of_rows_once(table: pd.DataFrame, counts: Counter[tuple[str, int]]) -> None:
    X, y = table.drop(columns="y"), table["y"]
    sets = {60: X[:60], 40: X[60:100], 20: X[100:]}
    est = TabAttnRegressor(**FAST | {"max_epochs": 1}, pretrain="auto", pretrain_epochs=1, random_state=0)
    est.fit(sets[60], y[:60], eval_set=(sets[40], y[60:100]), unlabelled=sets[20])
    expected: dict[tuple[str, int], int] = {}
    for n_rows in sets:
        expected |= parses(X, n_rows) | {("transform", n_rows): 1, ("encode", n_rows): 2}
    assert counts == expected


def test_each_cell_is_warned_of_once(table: pd.DataFrame) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ranking = rank(table, "y", max_epochs=1, n_repeats=1, n_members=1, n_layers=1, d_token=4)
        assert [str(each.message).split(",")[0] for each in caught if each.category is UnparsedCellsWarning] == [
            "Column 'heat' holds numbers"
        ]
        caught.clear()
        explain(ranking.estimator, table)
        assert [each.category for each in caught] == [UnparsedCellsWarning]


ASKED: dict[str, Callable[[TabAttnRegressor, TabAttnClassifier, pd.DataFrame, Any], Any]] = {
    "fit": lambda regressor, _, X, y: clone(regressor).fit(X, y),
    "warm fit": lambda regressor, _, X, y: regressor.fit(X, y),
    "eval_set": lambda regressor, _, X, y: regressor.fit(X.assign(heat="1.5"), y, eval_set=(X, y)),
    "unlabelled": lambda regressor, _, X, y: regressor.fit(X.assign(heat="1.5"), y, unlabelled=X),
    "predict": lambda regressor, _, X, y: regressor.predict(X),
    "predict classes": lambda _, classifier, X, y: classifier.predict(X),
    "predict probabilities": lambda _, classifier, X, y: classifier.predict_proba(X),
    "score": lambda regressor, _, X, y: regressor.score(X, y),
    "score classes": lambda _, classifier, X, y: classifier.score(X, y > 0),
    "read": lambda regressor, _, X, y: regressor.read(X),
    "rows": lambda regressor, _, X, y: regressor.fitted_model_.rows(X),
    "est.explain": lambda regressor, _, X, y: regressor.explain(X, y),
    "explain": lambda regressor, _, X, y: explain(regressor, X),
    "table": lambda regressor, _, X, y: regressor.importance_table(X, y),
    "permutation": lambda regressor, _, X, y: regressor.permutation_scores(X, y, n_repeats=1),
    "attention": lambda regressor, _, X, y: regressor.attention(X),
    "pipeline": lambda regressor, _, X, y: make_pipeline("passthrough", regressor).predict(X),
    "rank": lambda _, __, X, y: rank(X.assign(y=y), "y", max_epochs=1, n_repeats=1, n_members=1, n_layers=1, d_token=4),
}


@pytest.mark.parametrize("what", ASKED)
def test_warnings_point_at_the_line_that_asked(table: pd.DataFrame, what: str) -> None:
    X, y = table.drop(columns="y"), table["y"]
    small: dict[str, Any] = FAST | {"max_epochs": 1, "pretrain": "auto", "pretrain_epochs": 1, "warm_start": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        regressor = TabAttnRegressor(**small).fit(X, y)
        classifier = TabAttnClassifier(**small).fit(X, y > 0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ASKED[what](regressor, classifier, X, y)
    assert [each.filename for each in caught if each.category is UnparsedCellsWarning] == [__file__]
