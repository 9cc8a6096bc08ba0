from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabattn import TabAttnRegressor
from tabattn.choices import Method
from tabattn.errors import ParameterError
from tabattn.importance.methods import METHODS
from tabattn.importance.units import units_of
from tabattn.table.inference import infer_schema
from tests.conftest import FAST


@pytest.fixture(scope="module")
def twins() -> pd.DataFrame:
    """`cold` drives the target, and so does what is written in two columns, `heat` and `copy`."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"cold": rng.normal(size=300), "heat": rng.normal(size=300)})
    table["line"] = rng.choice(["A", "B"], 300)
    table["same"] = 1
    table["copy"] = table["heat"]
    table["y"] = 2 * table["heat"] + 2 * table["cold"]
    return table


@pytest.fixture(scope="module")
def fitted(twins: pd.DataFrame) -> TabAttnRegressor:
    return TabAttnRegressor(**FAST | {"max_epochs": 60, "n_members": 4}, random_state=0).fit(
        twins.drop(columns="y"), twins["y"]
    )


def test_units_are_in_the_order_of_the_table_and_know_their_columns(twins: pd.DataFrame) -> None:
    schema = infer_schema(twins.drop(columns="y"))
    units = units_of(schema, {"twins": ["copy", "heat"], "rest": ("line", "same")})
    assert units.names == ("cold", "twins", "rest")
    assert units.kinds == ("numeric", "group", "group")
    assert units.of_column == (0, 1, 2, 2, 1)
    model_names = [schema.names[i] for i in schema.model_positions]
    assert [units.names[units.scored[place]] for place in units.of_model] == [
        {"cold": "cold", "line": "rest"}.get(name, "twins") for name in model_names
    ]
    assert units.joined is not None
    assert units_of(schema).joined is None
    assert units_of(schema, {"heat": ["heat", "copy"]}).names == ("cold", "heat", "line", "same"), "its own name"


@pytest.mark.parametrize("method", METHODS)
def test_columns_that_say_the_same_count_together(
    fitted: TabAttnRegressor, twins: pd.DataFrame, method: Method
) -> None:
    X, y = twins.drop(columns="y"), twins["y"]
    groups = {"twins": ["heat", "copy"], "none": ["same"]}
    alone = fitted.importance_table(X, y, method=method).set_index("feature")["importance"]
    table = fitted.importance_table(X, y, method=method, groups=groups).set_index("feature")
    joined = table["importance"]
    assert list(table["kind"][["twins", "none", "line"]]) == ["group", "group", "categorical"]
    assert joined.sum() == pytest.approx(1)
    assert joined["none"] == 0
    assert table["rank"]["none"] == 4
    if method in {
        "contribution",
        "swap",
        "conditional",
    }:  # together they are worth as much as `cold`, the halves less than half
        assert joined["twins"] == pytest.approx(joined["cold"], rel=0.35)
        assert alone["heat"] + alone["copy"] < 0.9 * joined["twins"]
        assert method != "conditional" or alone["heat"] + alone["copy"] < 0.1, "each says what the other says"
    else:
        tolerance = 0.1 if method == "shapley" else 1e-6
        assert joined["twins"] == pytest.approx(alone["heat"] + alone["copy"], rel=tolerance)
    local = fitted.explain(X, y, method=method, groups=groups)
    assert list(local.columns) == ["cold", "twins", "line", "none"]
    np.testing.assert_allclose(local.mean().clip(lower=0), joined[local.columns], atol=1e-9)


def test_the_columns_of_a_group_are_shuffled_together(fitted: TabAttnRegressor, twins: pd.DataFrame) -> None:
    X, y = twins.drop(columns="y"), twins["y"]
    alone = fitted.permutation_scores(X, y, n_repeats=3).mean
    joined = fitted.permutation_scores(X, y, n_repeats=3, groups={"twins": ["copy", "heat"]}).mean
    assert joined.shape == (4,)
    assert joined[0] == pytest.approx(alone[0]), "the same seed shuffles the first column in the same way"
    assert joined[1] == pytest.approx(joined[0], rel=0.35)
    assert alone[1] + alone[4] < 0.8 * joined[1]
    by_one = fitted.permutation_scores(X, y, n_repeats=3, groups={str(name): [str(name)] for name in X}).mean
    np.testing.assert_array_equal(by_one, alone)
    with pytest.raises(ParameterError, match="Give permutation_scores the same groups"):
        fitted.importance_table(X, y, permutation=fitted.permutation_scores(X, y, groups={"two": ["heat", "copy"]}))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"g": ["heaat"]}, "got 'heaat' in 'g'. Did you mean 'heat'?"),
        ({"g": []}, "A group must have a list of columns, got \\[\\] for 'g'"),
        ({"g": "heat"}, "A group must have a list of columns, got 'heat' for 'g'"),
        ({"g": ["heat"], "h": ["heat"]}, "A column must be in one group, got 'heat' in 'g' and 'h'"),
        ({"cold": ["heat", "copy"]}, "must not have the name of a column outside of it, got 'cold'"),
        (["heat"], "groups must give names of columns"),
    ],
)
def test_groups_that_are_none_are_refused(
    fitted: TabAttnRegressor, twins: pd.DataFrame, groups: Any, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        fitted.importance_table(twins.drop(columns="y"), groups=groups)
