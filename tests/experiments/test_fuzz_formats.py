from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from experiments import fuzz_formats
from tabattn.table.columns import Numbers
from tabattn.table.inference import infer_table


def test_files_of_all_formats_are_read_as_they_were_written(tmp_path: Path) -> None:
    out = tmp_path / "fuzz_formats.csv"
    fuzz_formats.main(["--n", "40", "--seed", "3", "--out", str(out)])
    outcomes = pd.read_csv(out, comment="#").groupby("outcome")["files"].sum()
    assert outcomes.sum() == 40
    assert not {"silent", "defect"} & set(outcomes.index)
    assert outcomes["equal"] > 30
    assert not list(tmp_path.glob("*_silent_*"))


def test_a_value_that_differs_without_a_word_is_found_and_its_file_kept(tmp_path: Path) -> None:
    def wrong(X: pd.DataFrame, *arguments: Any) -> Any:
        table = infer_table(X, *arguments)
        cells = [replace(each, values=each.values + 1) if isinstance(each, Numbers) else each for each in table.cells]
        return replace(table, cells=tuple(cells))

    with patch("experiments.fuzz_formats.infer_table", wrong):
        fuzz_formats.main(["--n", "10", "--out", str(tmp_path / "t.csv")])
    assert "silent" in set(pd.read_csv(tmp_path / "t.csv", comment="#")["outcome"])
    assert list(tmp_path.glob("t_silent_*"))


@pytest.mark.parametrize("make", fuzz_formats.COLUMNS)
def test_each_column_says_what_its_cells_mean(make: Any) -> None:
    column = make(30, np.random.default_rng(0))
    assert len(column.cells) == len(column.values) == 30
    assert all(isinstance(cell, str) for cell in column.cells)
