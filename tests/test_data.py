import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import DATA

SPEC = importlib.util.spec_from_file_location("make_data", DATA / "make_data.py")
assert SPEC is not None
assert SPEC.loader is not None
make_data = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_data)


@pytest.mark.parametrize("name", ["diabetes", "breast_cancer", "wine", "friedman", "process"])
def test_the_script_makes_the_tables_of_the_folder(name: str, tmp_path: Path) -> None:
    made = tmp_path / f"{name}.csv"
    getattr(make_data, name)().to_csv(made, index=False, lineterminator="\n")
    pd.testing.assert_frame_equal(pd.read_csv(made), pd.read_csv(DATA / f"{name}.csv"), rtol=1e-9)


def test_every_table_has_its_provenance() -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    for path in DATA.glob("*.csv"):
        assert path.name in text
