"""A ranking that was ended goes on to the same bytes."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tabattn import rank, rank_targets
from tabattn.errors import ParameterError
from tabattn.training.saving import SaveState
from tests.conftest import files

SETTINGS: dict[str, Any] = {"n_members": 2, "d_token": 8, "max_epochs": 4, "n_repeats": 1}


class KilledError(Exception):
    pass


@pytest.fixture(autouse=True)
def written_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabattn.training.saving.SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr("tabattn.training.saving.SECONDS_PER_SECOND", 0.0)


def kill_after(n_saved: int, patch: pytest.MonkeyPatch) -> None:
    """Kill the job right after states of trainings were written so many times."""
    save, counts = SaveState._save, iter(range(n_saved))

    def save_and_die(self: SaveState, trainer: Any) -> None:
        save(self, trainer)
        if next(counts, None) is None:
            raise KilledError

    patch.setattr(SaveState, "_save", save_and_die)


@pytest.mark.filterwarnings("ignore::tabattn.errors.TabAttnWarning")
def test_folds_go_on_too(mixed: pd.DataFrame, tmp_path: Path) -> None:
    """The state is written after each of 4 epochs of 12 batches, so the second fold is under way then."""
    mixed, n_saved = mixed[["heat", "line", "y"]], 60
    settings = SETTINGS | {"folds": 2, "pretrain": "auto", "pretrain_epochs": 1, "batch_size": 16}
    whole = rank(mixed, "y", **settings)
    with pytest.MonkeyPatch.context() as patch:
        kill_after(n_saved, patch)
        with pytest.raises(KilledError):
            rank(mixed, "y", checkpoint=tmp_path / "state", **settings)
    resumed = rank(mixed, "y", checkpoint=tmp_path / "state", resume=True, **settings)
    pd.testing.assert_frame_equal(resumed.table, whole.table, check_exact=True)
    resumed.estimator.save(tmp_path / "resumed.tabattn")
    whole.estimator.save(tmp_path / "whole.tabattn")
    assert (tmp_path / "resumed.tabattn").read_bytes() == (tmp_path / "whole.tabattn").read_bytes()


@pytest.mark.filterwarnings("ignore::tabattn.errors.TabAttnWarning")
def test_every_target_has_its_own_state(mixed: pd.DataFrame, tmp_path: Path) -> None:
    found = rank_targets(mixed, ["y", "noise"], checkpoint=tmp_path, **SETTINGS)
    assert sorted(files(tmp_path)) == ["target_1/fit_1.ckpt", "target_2/fit_1.ckpt"]
    again = rank_targets(mixed, ["y", "noise"], checkpoint=tmp_path, resume=True, **SETTINGS)
    pd.testing.assert_frame_equal(again.table, found.table, check_exact=True)


def test_what_cannot_be_gone_on_from_is_refused(mixed: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="resume=True must have a checkpoint"):
        rank(mixed, "y", resume=True, **SETTINGS)
    rank(mixed, "y", checkpoint=tmp_path, **SETTINGS)
    with pytest.raises(ParameterError, match="that of other rows or settings"):
        rank(mixed.head(290), "y", checkpoint=tmp_path, resume=True, **SETTINGS)
