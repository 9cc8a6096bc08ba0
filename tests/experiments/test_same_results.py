import numpy as np
import pytest

from experiments.same_results import compared


def test_the_largest_change_is_relative_to_the_largest_number_of_an_array() -> None:
    old = {
        "same": np.array([1.0, np.nan, -3.0]),
        "changed": np.array([1.0, -4.0, 2.0]),
        "none": np.zeros(0),
        "zero": np.zeros(2),
        "integers": np.array([2, 4]),
    }
    new = old | {"changed": np.array([1.0, -4.0, 2.5]), "integers": np.array([2, 5])}
    table = compared(old, new).set_index("what")
    assert table["is_same"].to_dict() == {"same": True, "changed": False, "none": True, "zero": True, "integers": False}
    assert table["largest_change"].to_dict() == {
        "same": 0.0,
        "changed": 0.125,
        "none": 0.0,
        "zero": 0.0,
        "integers": 0.25,
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0]),
        ([1.0, np.nan], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, np.nan]),
        ([1.0, np.inf], [1.0, 2.0]),
    ],
)
def test_another_shape_or_another_number_that_is_not_finite_is_a_change_beyond_all_bounds(
    old: list[float], new: list[float]
) -> None:
    [row] = compared({"array": np.array(old)}, {"array": np.array(new)}).to_dict("records")
    assert not row["is_same"]
    assert row["largest_change"] == np.inf
