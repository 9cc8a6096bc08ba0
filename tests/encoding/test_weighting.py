import numpy as np
import pandas as pd
import pytest
import torch

from tabattn import TabAttnRegressor
from tabattn.encoding.weighting import check_weights, class_weights, draw_rows
from tabattn.errors import ParameterError
from tabattn.importance.background import N_BACKGROUND
from tests.conftest import FAST


def test_rows_are_drawn_in_proportion_to_their_weights() -> None:
    weight, counts = torch.tensor([1.0, 2.0, 7.0], dtype=torch.float64), torch.zeros(3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3_000):
        counts[draw_rows(weight, 1, generator)] += 1
    torch.testing.assert_close(counts / 3_000, (weight / 10).float(), atol=0.03, rtol=0)


def test_no_row_is_drawn_twice_and_never_more_than_there_are() -> None:
    drawn = draw_rows(torch.linspace(0.1, 1, 50), 60, torch.Generator().manual_seed(0))
    assert sorted(drawn.tolist()) == list(range(50))


def test_background_rows_of_a_fit_are_drawn_by_the_weights_of_its_rows() -> None:
    rng = np.random.default_rng(0)
    is_heavy = np.arange(2 * N_BACKGROUND + 200) % 2 == 0
    X = pd.DataFrame({"part": np.where(is_heavy, "heavy", "light"), "x": rng.normal(size=len(is_heavy))})
    weight = np.where(is_heavy, 1.0, 1e-4)
    est = TabAttnRegressor(**FAST | {"max_epochs": 1}, random_state=0).fit(X, X["x"], weight)
    background = est.fitted_model_.background
    assert len(background) == N_BACKGROUND
    of_heavy = est.schema_.columns[0].categories.index("heavy") + 1
    assert (background.codes[:, 0] == of_heavy).float().mean() > 0.95


def test_weights_of_classes_make_them_count_as_they_say() -> None:
    classes, weight = np.array(["a", "b", "b", "b"]), np.array([2.0, 1.0, 1.0, 1.0])
    balanced = class_weights("balanced", classes, weight) * weight
    assert balanced[classes == "a"].sum() == pytest.approx(balanced[classes == "b"].sum())
    assert class_weights({"a": 3.0, "b": 0.5}, classes, weight).tolist() == [3.0, 0.5, 0.5, 0.5]
    assert class_weights(None, classes, weight).tolist() == [1.0] * 4


@pytest.mark.parametrize("given", [[1.0], [[1.0], [1.0]], [1.0, -1.0], [1.0, np.nan], ["a", "b"], [0.0, 0.0], "x", -1])
def test_what_can_not_be_weights_is_refused(given: object) -> None:
    with pytest.raises(ParameterError, match="sample_weight must h"):
        check_weights(given, 2)


def test_what_is_wrong_with_weights_is_said() -> None:
    with pytest.raises(ParameterError, match=r"weights of at least 0, got -1\.$"):
        check_weights([1.0, -1.0], 2)
    with pytest.raises(ParameterError, match="a weight above zero, got zero for every row"):
        check_weights([0.0, 0.0], 2)


def test_one_weight_is_that_of_all_rows() -> None:
    assert check_weights(None, 2).tolist() == [1.0, 1.0]
    assert check_weights(3, 2).tolist() == [3.0, 3.0]
    assert check_weights(pd.Series([1, 2], index=[5, 5]), 2).tolist() == [1.0, 2.0]
