import numpy as np
import pandas as pd

from tabattn.diagnostics.findings import Finding
from tabattn.diagnostics.stability import stability_findings
from tabattn.importance.aggregation import normalize_scores
from tabattn.importance.units import Units, units_of
from tabattn.table.inference import infer_schema


def units(n_columns: int) -> Units:
    return units_of(infer_schema(pd.DataFrame({f"x{i}": [0.5, 1.5] for i in range(n_columns)})))


def found(means: list[float], noise_of_members: float, noise_of_rows: float = 0.0, n_folds: int = 1) -> list[Finding]:
    """Ask of scores of eight members on 20 blocks of rows."""
    random = np.random.default_rng(0)
    size = (n_folds, 20, 8, len(means))
    members, rows = random.normal(size=size)[:, :1], random.normal(size=size)[:, :, :1]
    by_block = np.array(means) + noise_of_members * members + noise_of_rows * rows
    scores = normalize_scores(by_block.mean(axis=(0, 1)))
    return list(stability_findings(scores, list(by_block), units(len(means)), 0))


def test_columns_that_all_members_rank_alike_are_settled() -> None:
    assert found([8, 4, 2, 1, 0, 0], 0.1) == []


def test_two_columns_that_change_places_are_named() -> None:
    (finding,) = found([4.0, 4.01, 1, 0.1, 0, 0], 0.5)
    assert finding.code == "unsettled_ranks"
    assert "'x0', 'x1' change places at the top" in finding.message or "'x1', 'x0' change" in finding.message
    assert finding.numbers["same_first"] < 0.8 < finding.numbers["same_leading"]


def test_a_set_that_others_would_be_in_is_told() -> None:
    (finding,) = found([6, *[1.0] * 12], 0.5)
    assert finding.numbers["same_first"] == 1
    assert finding.numbers["same_leading"] < 0.8
    assert "others would take their places" in finding.message


def test_rows_alone_unsettle_ranks_and_folds_settle_them() -> None:
    means = [4.0, 3.0, 0.5, 0.1, 0.0, 0.0]
    assert [each.code for each in found(means, 0.0, 4.0)] == ["unsettled_ranks"]
    assert found(means, 0.0, 4.0, n_folds=16) == []
