"""Who models which rows, and what comes of it in `rank`."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tabattn import TabAttnRegressor, rank
from tabattn.errors import ParameterError, UntrustedRankingWarning
from tabattn.fitted.evaluation import cross_fitted_rows
from tabattn.fitted.model import HeldOutRows
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells
from tests.conftest import FAST, small_shape

QUICK: dict[str, Any] = {"max_epochs": 30, "n_repeats": 1, "n_members": 4, "d_token": 16}


def rows(n_rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """`heat` drives the target; `twin` says nearly the same and adds nothing; `idle` is idle."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n_rows, 3)), columns=["heat", "twin", "idle"])
    table["twin"] = 0.9 * table["heat"] + 0.43 * table["twin"]
    table["line"] = rng.choice(["A", "B"], n_rows)
    return table.assign(y=2 * table["heat"] + (table["line"] == "A") + 0.5 * rng.normal(size=n_rows))


@pytest.mark.parametrize("encoder", ["class", "bert"])
def test_a_group_predicts_alone_as_it_does_among_others(encoder: Any) -> None:
    torch.manual_seed(0)
    model = TabAttnModel(small_shape(encoder=encoder, n_members=6, n_groups=3)).eval()
    missing = torch.rand(7, 3) < 0.3
    cells = Cells(torch.randn(7, 2), torch.randint(0, 3, (7, 1)), missing)
    with torch.no_grad():
        together = model(cells).prediction
        for group in range(3):
            alone = model.of_group(group)(cells).prediction
            torch.testing.assert_close(alone, together[:, 2 * group : 2 * group + 2])


def test_rows_are_evaluated_by_members_that_held_them_out_at_the_epoch_that_others_selected() -> None:
    table = rows()
    est = TabAttnRegressor(**(FAST | {"n_members": 4}), random_state=0).fit(table.drop(columns="y"), table["y"])
    scored = est.fitted_model_.scored
    assert isinstance(scored, HeldOutRows)
    evaluated = cross_fitted_rows(est.fitted_model_)
    assert evaluated is not None
    n_groups = est.model_.shape.n_groups
    assert len(evaluated.models) == 2 * n_groups
    for number, (reader, positions) in enumerate(evaluated.models):
        half, group = divmod(number, n_groups)
        assert (scored.member_weight[positions, group] > 0).all()
        assert (scored.half[positions] == bool(half)).all()
        assert reader.model.shape.n_members == 1
    counts = np.bincount(np.concatenate([positions for _, positions in evaluated.models]))
    assert (counts == scored.member_weight.sum(dim=1).numpy()).all()


@pytest.mark.parametrize("how", ["row_groups", "row_order"])
def test_units_are_lots_or_tenths_of_time_where_rows_are_linked(how: str) -> None:
    table = rows(200).drop(columns="line")
    links: dict[str, Any] = {how: np.arange(200) // (4 if how == "row_groups" else 1)}
    est = TabAttnRegressor(**FAST, random_state=0).fit(table[["heat", "idle"]], table["y"], **links)
    evaluated = cross_fitted_rows(est.fitted_model_)
    assert evaluated is not None
    found = pd.Series(evaluated.sample).value_counts()
    assert len(found) <= (50 if how == "row_groups" else 10)
    assert found.max() == 4 if how == "row_groups" else found.max() > 4


def test_columns_that_add_something_are_selected_and_twins_are_not() -> None:
    found = rank(rows(400, 1), "y", **QUICK).table.set_index("feature")
    assert found["selected"].to_dict() == {"heat": True, "line": True, "twin": False, "idle": False}
    assert found["p_value"]["heat"] < 1e-6
    assert found["sampler_fit"]["twin"] > 0.7
    assert (found["q_value"] >= found["p_value"]).all()
    assert found["conditional"].idxmax() == "heat"
    assert found["conditional"]["heat"] < 0.4 * found["permutation_mean"]["heat"], "the twin has most of it"
    again = rank(rows(400, 1), "y", **QUICK).table.set_index("feature")
    pd.testing.assert_frame_equal(found, again)


@pytest.mark.parametrize("how", [{"folds": 2}, {"split_by": "lot"}, {"order_by": "hour"}])
def test_all_ways_to_hold_rows_out_are_tested(how: dict[str, Any]) -> None:
    table = rows(240).assign(lot=np.arange(240) // 4, hour=np.arange(240))
    unused = [name for name in ("lot", "hour") if name not in how.values()]
    found = rank(table, "y", drop=unused, **how, **QUICK).table.set_index("feature")
    assert found["p_value"][["heat", "line"]].max() < 1e-3
    assert found["p_value"][["twin", "idle"]].min() > 1e-3


def test_nothing_is_selected_where_the_model_beats_no_constant() -> None:
    table = rows(120).assign(y=np.random.default_rng(1).normal(size=120))
    with pytest.warns(UntrustedRankingWarning):
        found = rank(table, "y", **QUICK)
    assert not found.table["selected"].any()
    assert found.table["p_value"].notna().all()


def test_groups_and_columns_that_say_nothing_have_p_values() -> None:
    table = rows(300).assign(same=1.0)
    with pytest.warns(UserWarning, match="ranked last"):
        found = rank(table, "y", groups={"temperature": ["heat", "twin"]}, **QUICK).table.set_index("feature")
    assert found["selected"]["temperature"]
    assert found["p_value"]["same"] == 1
    assert np.isnan(found["sampler_fit"]["same"])
    assert found["sampler_fit"]["temperature"] < 0.2


@pytest.mark.parametrize(
    ("how", "message"), [({"fdr": 1.0}, "fdr must be greater"), ({"fdr_control": "bonf"}, "bh, by")]
)
def test_rates_that_are_none_are_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        rank(rows(40), "y", **how)
