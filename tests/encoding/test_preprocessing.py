import datetime as dt

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tabattn.encoding.preprocessing import Preprocessor
from tabattn.errors import TabAttnError, UnknownLevelsWarning, warn_all
from tabattn.nn.tokens import LIMIT, Cells
from tabattn.table.inference import infer_table


def learned(X: pd.DataFrame) -> Preprocessor:
    return Preprocessor.learned(infer_table(X))[0]


def cells_of(preprocessor: Preprocessor, X: pd.DataFrame) -> Cells:
    raw = preprocessor.raw(preprocessor.schema.read(X))
    warn_all(raw.warnings)
    return preprocessor.transform(raw)


def test_numbers_become_normal_scores() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": np.exp(rng.normal(size=5000))})
    numeric = cells_of(learned(X), X).numeric[:, 0]
    assert abs(float(numeric.mean())) < 0.02
    assert abs(float(numeric.std()) - 1) < 0.03
    assert numeric.argsort().tolist() == X["x"].argsort().tolist()


def test_outliers_are_clipped_and_missing_is_a_mask() -> None:
    X = pd.DataFrame({"x": [1.0, 2.0, 3.0, np.nan], "z": [0.0, 1.0, 2.0, 3.0]})
    cells = cells_of(learned(X), pd.DataFrame({"x": [1e300, -1e300, np.nan], "z": [0.0, 1.0, 2.0]}))
    assert cells.numeric[:, 0].tolist() == [LIMIT, -LIMIT, 0.0]
    assert cells.missing is not None
    assert cells.missing.tolist() == [[False, False], [False, False], [True, False]]


def test_units_change_nothing() -> None:
    X = pd.DataFrame({"x": np.random.default_rng(0).normal(size=200)})
    plain, tiny, huge = (cells_of(learned(X * scale), X * scale).numeric for scale in (1, 1e-12, 1e300))
    torch.testing.assert_close(tiny, plain)
    torch.testing.assert_close(huge, plain)


def test_no_mask_without_missing_cells() -> None:
    X = pd.DataFrame({"x": [1.0, 2.0, 3.0], "s": ["a", "b", "a"]})
    assert cells_of(learned(X), X).missing is None


def test_new_and_rare_levels_share_code_zero() -> None:
    X = pd.DataFrame({"s": ["b", "a", "b", "a", "rare"]})
    codes = cells_of(learned(X), pd.DataFrame({"s": ["a", "b", "rare", "new", None]})).codes
    assert codes[:, 0].tolist() == [1, 2, 0, 0, 0]


def test_a_column_that_reads_as_numbers_keeps_its_levels() -> None:
    X = pd.DataFrame({"s": pd.Categorical([1, 2, 1, 2])})
    assert cells_of(learned(X), pd.DataFrame({"s": [2.0, 1.0, np.nan]})).codes[:, 0].tolist() == [2, 1, 0]


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_infinity=True, allow_nan=True),
    st.text(max_size=5),
    st.dates(),
)


@settings(deadline=None, max_examples=150)
@example([(None, None), (None, dt.date(2263, 1, 1))])
@given(st.lists(st.tuples(CELLS, CELLS), min_size=2, max_size=8))
def test_any_table_is_read_or_refused(rows: list[tuple[object, object]]) -> None:
    X = pd.DataFrame(rows, columns=["a", "b"])
    try:
        cells = cells_of(learned(X), X)
    except TabAttnError as error:
        assert "Column '" in str(error)  # noqa: PT017 - the alternative is that no error is raised
        return
    assert len(cells) == len(X)
    assert torch.isfinite(cells.numeric).all()
    assert (cells.codes >= 0).all()


def test_a_column_without_a_known_level_is_told() -> None:
    X = pd.DataFrame({"on": ["yes", "no"] * 10, "heat": range(20)})
    preprocessor = learned(X)
    others = X.assign(on=X["on"] == "yes")
    with pytest.warns(
        UnknownLevelsWarning, match=r"'on' holds none of the levels .* such as 'no', in 20 cell.* 'True'"
    ):
        cells_of(preprocessor, others)
    cells_of(preprocessor, others.head(9))
    cells_of(preprocessor, X.assign(on=["maybe"] * 19 + ["no"]))
