"""Tables of all sorts: a fit either works or is refused in our words, and what it says obeys the same laws."""

import contextlib
import datetime as dt
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabattn import TabAttnClassifier, TabAttnRegressor
from tabattn.errors import TabAttnError
from tabattn.importance.methods import METHODS

TINY: dict[str, Any] = {"n_layers": 1, "n_members": 2, "n_heads": 1, "d_token": 4, "max_epochs": 1, "random_state": 0}
N_EXAMPLES = 25

numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=False),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -0.0, 1e300, -1e300, 1e-320, 2**53 + 1]),
)
texts = st.one_of(
    st.text(max_size=6), st.sampled_from(["A", "B", "", " ", "-", "N/A", "없음", "1,5", "007", "1e5", "NaN"])
)
whens = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
cells = {
    "numbers": numbers,
    "small": st.integers(0, 3),
    "flags": st.booleans(),
    "texts": texts,
    "sentences": st.lists(st.sampled_from(["hot", "cold", "belt", "oil"]), min_size=3, max_size=5).map(" ".join),
    "dates": whens,
    "times": st.timedeltas(dt.timedelta(-999), dt.timedelta(999)),
    "anything": st.one_of(numbers, texts, st.booleans(), whens),
}


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Draw 2 to 30 rows of 1 to 5 columns, any of them with holes."""
    n_rows = draw(st.integers(2, 30))
    names = draw(st.lists(st.one_of(st.text(max_size=4), st.integers(0, 9)), min_size=1, max_size=5, unique_by=str))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(sorted(cells)))
        values = draw(st.lists(st.one_of(cells[kind], cells[kind], st.none()), min_size=n_rows, max_size=n_rows))
        columns[name] = pd.Series(values, dtype=object)
        if draw(st.booleans()):
            columns[name] = columns[name].infer_objects()
    return pd.DataFrame(columns)


def fit(X: pd.DataFrame, y: Any) -> TabAttnRegressor | TabAttnClassifier | None:
    """Fit, or return None if the table is refused in our words."""
    model = TabAttnRegressor if isinstance(y[0], float) else TabAttnClassifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return model(**TINY).fit(X, y)
        except TabAttnError:
            return None


def dressed(X: pd.DataFrame, dress: str) -> Any:
    """Give a table to another package, or other types to its columns; what has no such type stays as it is."""
    with contextlib.suppress(Exception):
        if dress == "nullable":
            return X.convert_dtypes()
        if dress == "arrow":
            return X.convert_dtypes(dtype_backend="pyarrow")
        if dress == "categories":
            return X.astype("category")
        if dress == "zones":
            times = X.select_dtypes("datetime").columns
            return X.assign(**{str(name): X[name].dt.tz_localize("Asia/Seoul") for name in times})
        named = X.set_axis(X.columns.map(str), axis=1)
        if dress == "polars":
            return pl.from_pandas(named)
        if dress == "pyarrow":
            return pa.Table.from_pandas(named)
    return X


def target(n_rows: int, seed: int, *, is_regression: bool) -> Any:
    rng = np.random.default_rng(seed)
    return rng.normal(size=n_rows) if is_regression else rng.permutation(np.arange(n_rows) % 2)


@settings(max_examples=N_EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(tables(), st.booleans())
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_any_table_is_ranked_or_refused(X: pd.DataFrame, is_regression: bool) -> None:
    y = target(len(X), 0, is_regression=is_regression)
    est = fit(X, y)
    if est is None:
        return
    tables = [est.importance_table(X, y, method=method)["importance"].to_numpy() for method in METHODS]
    for importances in [est.feature_importances_, *tables]:
        assert np.isfinite(importances).all()
        assert (importances >= 0).all()
        assert importances.sum() == pytest.approx(1)
    order = np.random.default_rng(1).permutation(len(X))
    read = est.predict_proba if isinstance(est, TabAttnClassifier) else est.predict
    np.testing.assert_allclose(read(X.iloc[order]), read(X)[order], rtol=1e-4, atol=1e-5)
    assert np.isfinite(read(X)).all()
    padded = X.assign(**{"a column with one value": 7})
    again = fit(padded, y)
    assert again is not None
    ranked = again.importance_table(padded, y)["feature"]
    assert ranked[ranked != "a column with one value"].tolist() == est.importance_table(X, y)["feature"].tolist()


@settings(max_examples=3 * N_EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(tables(), st.sampled_from(["nullable", "arrow", "categories", "zones", "polars", "pyarrow"]), st.data())
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_any_types_targets_and_weights_are_taken_or_refused(X: pd.DataFrame, dress: str, data: st.DataObject) -> None:
    n_rows = len(X) + data.draw(st.sampled_from([0, 0, 0, 1]))
    cell = data.draw(st.sampled_from(sorted(cells)))
    y = data.draw(st.lists(st.one_of(cells[cell], st.sampled_from([0, 1])), min_size=n_rows, max_size=n_rows))
    weight = data.draw(
        st.none() | st.lists(st.sampled_from([0, 1, 2, 0.5, -1, np.nan]), min_size=n_rows, max_size=n_rows)
    )
    model = data.draw(st.sampled_from([TabAttnRegressor, TabAttnClassifier]))
    table = dressed(X, dress)
    try:
        est = model(**TINY).fit(table, pd.Series(y, dtype=object), sample_weight=weight)
    except TabAttnError:
        return
    assert np.isfinite(est.feature_importances_).all()
    assert est.feature_importances_.sum() == pytest.approx(1)
    assert len(est.predict(table)) == len(X)


@pytest.mark.filterwarnings("ignore")
def test_five_thousand_columns_are_ranked() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 5_000)), columns=[f"x{i}" for i in range(5_000)])
    est = TabAttnRegressor(**TINY).fit(X, X["x7"])
    assert len(est.importance_table(X.head(5), X["x7"].head(5))) == 5_000


def test_extreme_cells_spoil_nothing() -> None:
    rng = np.random.default_rng(0)
    plain = pd.DataFrame({"heat": rng.normal(size=200), "dust": rng.normal(size=200)})
    y = plain["heat"].to_numpy()
    settings = TINY | {"max_epochs": 20, "learning_rate": 1e-2, "d_token": 8}
    spoiled = plain.copy()
    spoiled.loc[::50, "heat"] = [1e300, -1e300, 1e-300, 1e308]
    scores = [TabAttnRegressor(**settings).fit(X, y).score(X.iloc[1:50], y[1:50]) for X in (plain, spoiled)]
    assert scores[1] > 0.9 * scores[0] > 0.5


def test_integers_beyond_all_doubles_keep_their_order() -> None:
    small = pd.Series(range(40))
    big = pd.DataFrame(
        {
            "double": small + 2**53,
            "signed": small + 10**18,
            "negative": small - 10**18,
            "unsigned": small.astype("UInt64") + 2**63,
            "python": small.map(lambda i: 10**30 + i),
            "text": small.map(lambda i: str(10**18 + i)),
            "hole": (small + 2**60).astype("Int64").where(small != 7),
        }
    )
    est = TabAttnRegressor(**TINY).fit(big, np.arange(40.0))
    read = est.read(big).cells
    present = read.numeric[np.arange(40) != 7]
    assert present.diff(dim=0).gt(0).all()
    assert read.missing is not None
    assert read.missing.sum() == 1
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_array_equal(
        TabAttnRegressor(**TINY).fit(big.iloc[order], order * 1.0).predict(big), est.predict(big)
    )


def test_names_of_any_sort_are_kept() -> None:
    rng = np.random.default_rng(0)
    names = ["", " ", "온도 (°C)", "a,b\n", 3, 2.5, None, ("x", 1)]
    X = pd.DataFrame(rng.normal(size=(40, len(names))))
    X.columns = pd.Index(names, dtype=object, tupleize_cols=False)
    est = TabAttnRegressor(**TINY).fit(X, X[3])
    assert set(est.importance_table(X)["feature"]) == {str(name) for name in names}


@pytest.mark.parametrize("package", ["polars", "pyarrow"])
def test_tables_of_other_packages_are_the_same_tables(package: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "speed": np.where(rng.random(80) < 0.1, np.nan, rng.normal(size=80)),
            "line": pd.Categorical(rng.choice(["A", "B"], 80)),
            "flag": rng.random(80) < 0.5,
            "when": pd.date_range("2024-01-01", periods=80, freq="h"),
        }
    )
    y = rng.normal(size=80)
    other = pa.Table.from_pandas(frame) if package == "pyarrow" else pl.from_pandas(frame)
    if package == "polars":
        other = other.with_columns(pl.col("line").cast(pl.Enum(["A", "B", "C"])))
    expected, est = (TabAttnRegressor(**TINY).fit(X, y) for X in (frame, other))
    assert [column.kind for column in est.schema_.columns] == [column.kind for column in expected.schema_.columns]
    np.testing.assert_array_equal(est.predict(other), expected.predict(frame))
