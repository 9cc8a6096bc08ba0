import numpy as np
import pandas as pd
import pytest

from tabattn.encoding.blocks import BlockEncoder
from tabattn.encoding.preprocessing import Preprocessor
from tabattn.estimator import TabAttnRegressor
from tabattn.table.columns import Times
from tabattn.table.inference import infer_table
from tabattn.table.schema import Kind
from tests.conftest import FAST


@pytest.fixture(scope="module")
def logbook() -> pd.DataFrame:
    """A target that depends on the hour, on the words of a remark, and on how long something took."""
    rng = np.random.default_rng(0)
    n_rows = 400
    hours = pd.Series(pd.date_range("2024-01-01", periods=n_rows, freq="7h"))
    words = rng.choice(["smooth", "scratched", "dented"], n_rows)
    seconds = rng.integers(60, 3600, n_rows)
    table = pd.DataFrame(
        {
            "noise": rng.normal(size=n_rows),
            "when": hours.dt.strftime("%d.%m.%Y %H:%M"),
            "remark": [f"panel {i} looks {word} to me" for i, word in enumerate(words)],
            "took": pd.to_timedelta(seconds, unit="s"),
            "ordered": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 2000, n_rows), unit="D"),
        }
    )
    table["y"] = (
        np.sin(hours.dt.hour.to_numpy() / 24 * 2 * np.pi) * 2
        + np.select([words == "smooth", words == "dented"], [-1.5, 1.5], 0.0)
        + seconds / 1000
    )
    table.loc[::23, "when"] = None
    table.loc[::29, "remark"] = "N/A"
    return table


def test_dates_and_texts_are_one_column_each(logbook: pd.DataFrame) -> None:
    X = logbook.drop(columns="y")
    table = infer_table(X)
    schema = table.schema
    kinds = [Kind.NUMERIC, Kind.DATETIME, Kind.TEXT, Kind.DURATION, Kind.DATETIME]
    assert [column.kind for column in schema.columns] == kinds
    preprocessor, raw = Preprocessor.learned(table)
    cells = preprocessor.transform(raw)
    assert cells.numeric.shape == (400, 2 + sum(preprocessor.layout.n_parts))
    assert len(preprocessor.layout.n_parts) == 3
    assert cells.missing is not None
    assert [schema.names[i] for i in schema.model_positions] == ["noise", "took", "when", "remark", "ordered"]
    missing = X.isna()
    missing.loc[::29, "remark"] = True
    np.testing.assert_array_equal(cells.missing.numpy(), missing[[schema.names[i] for i in schema.model_positions]])


def test_parts_that_never_change_are_left_out(logbook: pd.DataFrame) -> None:
    X = logbook[["when", "ordered"]]
    elapsed, year, day_of_year, circle = 1, 1, 1, 2
    of_one_year = elapsed + day_of_year + 4 * circle
    without_hours = elapsed + year + day_of_year + 3 * circle
    assert Preprocessor.learned(infer_table(X))[0].layout.n_parts == (of_one_year, without_hours)


def test_a_model_finds_hours_words_and_durations(logbook: pd.DataFrame) -> None:
    X, y = logbook.drop(columns="y"), logbook["y"]
    est = TabAttnRegressor(**FAST | {"max_epochs": 60}, random_state=0).fit(X.iloc[:300], y[:300])
    assert est.score(X.iloc[300:], y[300:]) > 0.7
    table = est.importance_table(X.iloc[300:], y[300:], method="swap")
    assert set(table["feature"][:3]) == {"when", "remark", "took"}
    assert table["importance"].sum() == pytest.approx(1.0)
    one = est.predict(X.iloc[300:301].assign(when=None, remark="words that nobody has seen"))
    assert np.isfinite(one).all()


def test_missing_or_not_may_be_all_that_varies() -> None:
    when = pd.Series([pd.Timestamp(2024, 1, 1), pd.NaT] * 15)
    X = pd.DataFrame({"when": when, "x": range(30)})
    preprocessor, raw = Preprocessor.learned(infer_table(X))
    assert preprocessor.layout.n_parts == (1,)
    cells = preprocessor.transform(raw)
    assert cells.missing is not None
    assert cells.missing[:, 1].tolist() == [False, True] * 15


def test_elapsed_time_is_exact_to_the_second_in_any_century() -> None:
    for start in ("2024-05-01", "1500-01-01"):
        times = pd.Series(np.datetime64(start, "s") + np.arange(20))
        elapsed = BlockEncoder.learned(Times(times))[1][:, 0]
        assert np.diff(elapsed).tolist() == [1.0] * 19
