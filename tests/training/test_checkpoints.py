"""A training that was killed anywhere goes on to the very weights of one that was not."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tabattn.errors import OutputError, ParameterError
from tabattn.nn.model import ModelShape
from tabattn.training.checkpoints import Checkpoint
from tabattn.training.fitting import Trained, train
from tabattn.training.holdout import HoldOut
from tabattn.training.saving import SaveState
from tabattn.training.settings import OptimizerSettings, TrainingSettings
from tabattn.training.streams import RowStream
from tests.conftest import small_shape
from tests.training.test_fitting import hold_out, make_rows

SHAPE = small_shape(n_groups=3, attention_dropout=0.1, ffn_dropout=0.1)


class KilledError(Exception):
    """Stands for SIGKILL: nothing of the training runs after it."""


def fit(
    path: Path | None = None,
    *,
    is_resumed: bool = False,
    shape: ModelShape = SHAPE,
    stream: RowStream | None = None,
    **changes: Any,
) -> Trained:
    settings: dict[str, Any] = {
        "optimizer": OptimizerSettings(1e-2, 0.0), "batch_size": 48, "max_epochs": 6, "patience": 16, "seed": 0,
        "device": "cpu",
    }  # fmt: skip
    ticks = itertools.count(step=100)
    checkpoint = None if path is None else Checkpoint(path, is_resumed, lambda: float(next(ticks)))
    rows = make_rows(200, 0)
    return train(
        shape,
        rows,
        HoldOut.of(hold_out()[:, : shape.n_groups]),
        TrainingSettings(**settings | changes),
        checkpoint=checkpoint,
        stream=stream,
    )


@pytest.fixture(autouse=True)
def written_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabattn.training.saving.SECONDS_PER_SECOND", 0.0)


@pytest.fixture(scope="module", name="whole")
def trained_without_a_break() -> Trained:
    return fit()


@pytest.fixture(name="killed_after")
def killed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function: kill the training right after its state was written so many times."""
    save = SaveState._save

    def kill_after(n_saved: int) -> None:
        counts = itertools.count(1)

        def save_and_die(self: SaveState, trainer: Any) -> None:
            save(self, trainer)
            if next(counts) == n_saved:
                raise KilledError

        monkeypatch.setattr(SaveState, "_save", save_and_die)

    yield kill_after
    monkeypatch.undo()


def check_same(one: Trained, other: Trained) -> None:
    for first, second in zip((one.model, *one.cross_stopped), (other.model, *other.cross_stopped), strict=True):
        theirs = second.state_dict()
        assert all(torch.equal(value, theirs[name]) for name, value in first.state_dict().items())
    assert torch.equal(one.train_attention, other.train_attention)
    assert torch.equal(one.eval_attention, other.eval_attention)
    assert (one.n_epochs, one.best_epoch, one.best_loss) == (other.n_epochs, other.best_epoch, other.best_loss)


@pytest.mark.parametrize("n_saved", [1, 3, 4, 5, 14, 23, 24, 25])
def test_it_goes_on_from_any_step(n_saved: int, whole: Trained, tmp_path: Path, killed_after: Any) -> None:
    path = tmp_path / "folder" / "state.ckpt"
    killed_after(n_saved)
    n_expected = 6 * 4 + 1
    with pytest.raises(KilledError):
        fit(path)
    assert n_saved <= n_expected
    assert [each.name for each in path.parent.iterdir()] == ["state.ckpt"]
    killed_after(0)
    check_same(fit(path, is_resumed=True), whole)


def test_it_may_be_killed_again_and_again(whole: Trained, tmp_path: Path, killed_after: Any) -> None:
    path = tmp_path / "state.ckpt"
    for _ in range(5):
        killed_after(3)
        with pytest.raises(KilledError):
            fit(path, is_resumed=True)
    killed_after(0)
    check_same(fit(path, is_resumed=True), whole)


def test_rows_on_disk_are_gone_on_with_too(tmp_path: Path, killed_after: Any) -> None:
    (tmp_path / "rows").mkdir()
    stream = RowStream(tmp_path / "rows", SHAPE.layout.n_columns, 200, 1, seed=0, bucket_bytes=70)
    stream.add(make_rows(200, 0))
    killed_after(8)
    with pytest.raises(KilledError):
        fit(tmp_path / "s", stream=stream)
    killed_after(0)
    with pytest.raises(ParameterError):
        fit(tmp_path / "s", is_resumed=True)
    check_same(fit(tmp_path / "s", is_resumed=True, stream=stream), fit(stream=stream))


@pytest.mark.parametrize("encoder", ["bert", "t5"])
def test_encoders_that_mix_columns_go_on_too(encoder: Any, tmp_path: Path, killed_after: Any) -> None:
    shape = small_shape(encoder=encoder, n_members=1, attention_dropout=0.1, ffn_dropout=0.1)
    settings: dict[str, Any] = {"shape": shape, "max_epochs": 3}
    killed_after(5)
    with pytest.raises(KilledError):
        fit(tmp_path / "s", **settings)
    killed_after(0)
    check_same(fit(tmp_path / "s", is_resumed=True, **settings), fit(**settings))


def test_early_stopping_and_what_had_ended_are_remembered(tmp_path: Path, killed_after: Any) -> None:
    settings: dict[str, Any] = {
        "max_epochs": 60,
        "patience": 3,
        "min_patience": 3,
        "optimizer": OptimizerSettings(0.1, 0),
    }
    stopped = fit(**settings)
    assert stopped.n_epochs < 60
    for n_saved in (4 * stopped.n_epochs - 5, 4 * stopped.n_epochs):
        killed_after(n_saved)
        with pytest.raises(KilledError):
            fit(tmp_path / "s", **settings)
        killed_after(0)
        check_same(fit(tmp_path / "s", is_resumed=True, **settings), stopped)
    killed_after(1)  # nothing is left to do, so nothing is written
    check_same(fit(tmp_path / "s", is_resumed=True, **settings), stopped)


def test_without_resuming_it_begins_again(whole: Trained, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"anything")
    check_same(fit(tmp_path / "s"), whole)
    check_same(fit(tmp_path / "absent", is_resumed=True), whole)


def test_a_state_of_another_training_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    fit(path, max_epochs=1)
    content = path.read_bytes()
    with pytest.raises(ParameterError, match="that of other rows or settings"):
        fit(path, is_resumed=True, max_epochs=2)
    for damaged in (b"", content[:100], content[: len(content) // 2], content[:-1], b"PK" + content[2:-9]):
        path.write_bytes(damaged)
        with pytest.raises(ParameterError, match="a file that is damaged"):
            fit(path, is_resumed=True, max_epochs=1)


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"callbacks": {"SaveState": Evil()}}, tmp_path / "s")
    with pytest.raises(ParameterError, match="damaged"):
        fit(tmp_path / "s", is_resumed=True)
    assert not (tmp_path / "touched").exists()


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        fit(tmp_path / "s")
