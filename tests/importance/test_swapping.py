from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tabattn import TabAttnClassifier
from tabattn.importance import swapping
from tabattn.importance.limits import ReadLimits
from tabattn.importance.swapping import predict_swapped, swapped_in_full

CPU = torch.device("cpu")
N_COLUMNS = 40
UNITS = [[i] for i in range(N_COLUMNS - 2)] + [[N_COLUMNS - 2, N_COLUMNS - 1]]


@pytest.fixture(name="wide", scope="module")
def fitted_on_many_columns() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, N_COLUMNS)), columns=[f"x{i}" for i in range(N_COLUMNS)])
    y = np.select([X["x0"] + X["x1"] > 0.7, X["x0"] < -0.5], ["high", "low"], "middle")
    est = TabAttnClassifier(max_epochs=15, n_members=2, random_state=0).fit(X, y)
    return est.fitted_model_.model, est.read(X[:60], y[:60]).cells


@pytest.fixture(name="few_are_enough")
def expanded_from_few_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swapping, "EXPANDED_FROM", 2)


def joined(blocks: Iterator[torch.Tensor]) -> torch.Tensor:
    return torch.cat(list(blocks), dim=1)


def test_few_columns_are_swapped_in_full(wide: tuple[Any, Any]) -> None:
    model, cells = wide
    others = cells.take(torch.arange(59, -1, -1))
    found = joined(predict_swapped(model, cells, others, UNITS, ReadLimits(), CPU))
    assert (found == joined(swapped_in_full(model, cells, others, UNITS, ReadLimits(), CPU))).all()


@pytest.mark.usefixtures("few_are_enough")
def test_of_many_columns_the_near_ones_are_expanded_and_the_far_ones_swapped_in_full(
    wide: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cells = wide
    others = cells.take(torch.arange(59, -1, -1))
    in_full = joined(swapped_in_full(model, cells, others, UNITS, ReadLimits(), CPU))
    unchanged = model.loss.average(model(cells).prediction.detach().double())
    change = (in_full - unchanged[:, None]).abs().mean(dim=(0, 2))
    monkeypatch.setattr(swapping, "MAX_SPREAD", 1e-2)
    found = joined(predict_swapped(model, cells, others, UNITS, ReadLimits(), CPU))
    error = (found - in_full).abs().mean(dim=(0, 2))
    is_full = error < 1e-7
    assert 0 < is_full.sum() < len(UNITS)
    assert is_full[:2].all()
    assert (error[~is_full] < 0.03 * change[~is_full]).all()
    monkeypatch.setattr(swapping, "MAX_SPREAD", -1.0)
    found = joined(predict_swapped(model, cells, others, UNITS, ReadLimits(), CPU))
    torch.testing.assert_close(found, in_full, atol=1e-6, rtol=0)


@pytest.mark.usefixtures("few_are_enough")
@pytest.mark.parametrize("max_elements", [1, 500, 100_000])
def test_memory_does_not_decide_what_is_predicted(wide: tuple[Any, Any], max_elements: int) -> None:
    model, cells = wide
    some = cells.take(torch.arange(9))
    others = cells.take(torch.arange(20, 29))
    expected = joined(predict_swapped(model, some, others, UNITS, ReadLimits(), CPU))
    limits = ReadLimits(max_elements=max_elements, max_swap_elements=max_elements)
    found = joined(predict_swapped(model, some, others, UNITS, limits, CPU))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
