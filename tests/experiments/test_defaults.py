import math
import pkgutil
from pathlib import Path

import pytest

from experiments import defaults, fuzz
from tabattn.nn import tokens
from tests.experiments.helpers import read, run_twice, write_catalog

PATCHED = {constant for variant in defaults.VARIANTS.values() for constant in variant.constants} | {fuzz.PATCHED}


@pytest.mark.parametrize("name", sorted(PATCHED))
def test_what_experiments_replace_by_name_exists(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize("variant", [name for name, each in defaults.VARIANTS.items() if each.constants])
def test_variants_differ_from_the_defaults(variant: str) -> None:
    for name, value in defaults.VARIANTS[variant].constants.items():
        default = pkgutil.resolve_name(name)
        assert isinstance(default, int | float)
        assert not math.isclose(default, value)


def test_defaults_are_compared_on_rows_that_are_not_test_rows(tmp_path: Path) -> None:
    write_catalog(tmp_path, "wine")
    out = tmp_path / "defaults.csv"
    options = ["--variants", "1 member", "8 bins", "--tables", "wine", "--seeds", "0", "--max-epochs", "12"]
    before = tokens.N_BINS
    run_twice(defaults.main, ["--data", str(tmp_path), *options, "--out", str(out)], out)
    assert before == tokens.N_BINS
    cells = read(out)
    assert cells["variant"].tolist() == ["default", "1 member", "8 bins"]
    assert cells["relative_loss"].between(0, 0.9).all()
    assert len(set(cells["relative_loss"])) == 3
    summary = read(tmp_path / "defaults_summary.csv").set_index("variant")
    assert summary["loss_change_percent"].to_dict()["default"] == 0
