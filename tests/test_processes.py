"""Several processes train together: the same batches, the same loss, the same ranking."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tabattn import TabAttnRegressor
from tabattn.errors import ParameterError
from tabattn.process_state import is_first_process
from tabattn.training.data import ChosenRows, ShuffledBatches
from tests.training.test_fitting import make_rows

JOB = """
import json, sys, warnings
from pathlib import Path
import numpy as np, pandas as pd
from tabattn import rank
from tabattn.process_state import is_first_process

warnings.simplefilter("ignore")
devices, out = int(sys.argv[1]), Path(sys.argv[2])
random = np.random.default_rng(0)
table = pd.DataFrame(random.normal(size=(320, 3)), columns=["heat", "dust", "speed"])
table["y"] = 3 * table["heat"] + table["speed"] + 0.3 * random.normal(size=320)
settings = dict(n_members=2, d_token=8, n_repeats=1, max_epochs=6, attention_dropout=0.0, ffn_dropout=0.0)
if len(sys.argv) > 3:
    settings |= dict(checkpoint=sys.argv[3], resume=True)
ranking = rank(table, "y", devices=devices, strategy="ddp" if devices > 1 else "auto", **settings)
found = {"loss": ranking.estimator.fitted_model_.history.best_loss, "features": list(ranking.table["feature"])}
if is_first_process(devices, 1):
    out.write_text(json.dumps(found))
"""


def run(n: int, out: Path, *more: str) -> dict[str, Any]:
    script = out.with_suffix(".py")
    script.write_text(JOB)
    start = [sys.executable] if n == 1 else [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(n)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [*start, str(script), str(n), str(out), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    one, two = run(1, tmp_path / "one"), run(2, tmp_path / "two", str(tmp_path / "state"))
    assert two["loss"] == pytest.approx(one["loss"], rel=0.02)
    assert two["features"] == one["features"]
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["fit_1.ckpt"]


@pytest.mark.parametrize("n_parts", [1, 2, 3, 7])
def test_the_parts_of_a_batch_are_the_batch(n_parts: int) -> None:
    rows, chosen = make_rows(50, 0), ChosenRows.all_of(torch.arange(50))
    whole = [batch.number.tolist() for batch in ShuffledBatches(rows, chosen, 16, 0)]
    parts = [ShuffledBatches(rows, chosen, 16, 0, n_parts, part) for part in range(n_parts)]
    for place, batches in enumerate(zip(*parts, strict=True)):
        shared = [batch.number.tolist() for batch in batches]
        assert sorted(number for each in shared for number in each) == sorted(whole[place])
        assert all(shared), "every process has rows"
        assert max(map(len, shared)) - min(map(len, shared)) <= 1


def test_small_tables_have_batches_with_a_row_for_every_process() -> None:
    rows, chosen = make_rows(5, 0), ChosenRows.all_of(torch.arange(5))
    parts = [ShuffledBatches(rows, chosen, 2, 0, 4, part) for part in range(4)]
    assert [len(list(part)) for part in parts] == [1] * 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "none_such"}, "devices, num_nodes and strategy must be what Lightning finds"),
        ({"strategy": 3}, "strategy must be the name"),
        ({"devices": 0}, "devices must be an integer of at least 1"),
        ({"num_nodes": 1.5}, "num_nodes must be an integer of at least 1"),
    ],
)
def test_processes_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    X = pd.DataFrame({"a": np.arange(40.0)})
    with pytest.raises(ParameterError, match=message):
        TabAttnRegressor(max_epochs=1, n_members=1, d_token=8, **settings).fit(X, X["a"])


def test_the_first_process_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert is_first_process(2, 2), "the one that starts the others"
    monkeypatch.setenv("NODE_RANK", "1")
    assert not is_first_process(2, 2)
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert is_first_process(2, 2)
    monkeypatch.setenv("RANK", "3")
    assert not is_first_process(2, 2)
    assert is_first_process(1, 1), "alone, whatever a cluster says"
