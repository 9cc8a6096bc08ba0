import io

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.importance.aggregation import Scores, normalize_scores
from tabattn.importance.maps import AttentionMaps
from tabattn.importance.permutation import PermutationScores
from tabattn.importance.table import COLUMNS, importance_table
from tabattn.importance.units import Units, units_of
from tabattn.table.schema import Column, Kind, TableSchema


def make_units(*names: str) -> Units:
    return units_of(TableSchema(tuple(Column(name, Kind.NUMERIC, (), is_constant=False) for name in names)))


def make_scores(*raw: float) -> Scores:
    return normalize_scores(np.array([raw, raw]))


def test_columns_stand_in_the_order_of_the_contract() -> None:
    header = (
        "rank,feature,kind,importance,std,ci_low,ci_high,p_value,selected,"
        "permutation_mean,permutation_std,permutation_rank,q_value,conditional,sampler_fit,direction,effect,effect_on"
    )
    table = importance_table(
        make_units("a"), Scores(np.array([3.0]), np.array([1.0]), np.array([0.0]), np.array([[3.0]]))
    )
    assert table.to_csv(index=False, lineterminator="\n") == f"{header}\n1,a,numeric,1.0,0.0,,,,,,,,,,,,,\n"
    assert ",".join(COLUMNS) == header


def test_ties_keep_the_order_of_the_table() -> None:
    table = importance_table(make_units("c", "a", "d", "b"), make_scores(0.2, 0.3, 0.2, 0.3))
    assert table["feature"].tolist() == ["a", "b", "c", "d"]
    assert table["rank"].tolist() == [1, 2, 3, 4]


def test_columns_that_do_harm_are_ranked_by_how_much_though_their_importance_is_0() -> None:
    table = importance_table(make_units("a", "b", "c"), make_scores(-0.5, 1.0, -0.1))
    assert table["feature"].tolist() == ["b", "c", "a"]
    assert table["importance"].tolist() == [1.0, 0.0, 0.0]


def test_permutation_stands_beside_the_right_feature() -> None:
    permutation = PermutationScores(np.array([[0.0, 2.0], [5.0, 5.0], [-1.0, -1.0]]), "r2")
    table = importance_table(make_units("a", "b", "c"), make_scores(0.5, 0.1, 0.4), permutation)
    assert table["feature"].tolist() == ["a", "c", "b"]
    assert table["permutation_mean"].tolist() == [1.0, -1.0, 5.0]
    assert table["permutation_std"].tolist() == [1.0, 0.0, 0.0]
    assert table["permutation_rank"].tolist() == [2, 3, 1]


@settings(deadline=None)
@given(st.lists(st.text(min_size=1).filter(lambda name: "\r" not in name), min_size=1, max_size=5, unique=True))
def test_a_csv_round_trips_any_name(names: list[str]) -> None:
    n = len(names)
    table = importance_table(make_units(*names), make_scores(*np.linspace(1, 0.1, n)))
    text = table.to_csv(index=False, lineterminator="\n")
    back = pd.read_csv(io.StringIO(text), dtype={"feature": str}, keep_default_na=False)
    assert back["feature"].tolist() == table["feature"].tolist() == names
    assert back["importance"].astype(float).tolist() == table["importance"].tolist()


def test_attention_maps_average_rows_and_members() -> None:
    weights = np.random.default_rng(0).random((4, 3, 2, 5, 6)).astype(np.float32)
    maps = AttentionMaps(weights, tuple("abcdef"))
    table = maps.mean_by_head()
    np.testing.assert_allclose(table.xs((2, 5)), weights[:, :, 1, 4].mean(axis=(0, 1)), rtol=1e-6)
    assert table.shape == (10, 6)
