"""Several processes train together: the same batches, the same loss, the same ranking."""

import json
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
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
from tabattn.training.processes import connected
from tests.training.test_fitting import make_rows

ROOT = Path(__file__).parents[1]

JOB = """
import json, sys, warnings
from pathlib import Path

def learn(settings):
    import numpy as np, pandas as pd
    from tabattn import rank
    from tabattn.process_state import is_first_process

    warnings.simplefilter("ignore")
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(320, 3)), columns=["heat", "dust", "speed"])
    table["y"] = 3 * table["heat"] + table["speed"] + 0.3 * random.normal(size=320)
    sizes = dict(n_members=2, d_token=8, n_repeats=1, max_epochs=6, attention_dropout=0.0, ffn_dropout=0.0)
    out = Path(settings.pop("out"))
    ranking = rank(table, "y", **sizes, **settings)
    found = {"loss": ranking.estimator.fitted_model_.history.best_loss, "features": list(ranking.table["feature"])}
    if is_first_process(settings.get("devices", 1), settings.get("num_nodes", 1)):
        out.write_text(json.dumps(found))
"""
PLAIN = JOB + "\nlearn(json.loads(sys.argv[1]))\n"
ON_RAY = (
    JOB
    + """
import os
import ray
from ray.train import ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = "200"
ray.init(num_cpus=2, include_dashboard=False)
scaling = ScalingConfig(num_workers=2, use_gpu=False)
backend = TorchConfig(backend="gloo")
TorchTrainer(learn, train_loop_config=json.loads(sys.argv[1]), scaling_config=scaling, torch_config=backend).fit()
"""
)
DYING = (
    JOB
    + """
import os
from tabattn.training.callbacks import AttentionHistory

if os.environ["LOCAL_RANK"] == "1":
    AttentionHistory.on_train_epoch_start = lambda *_: os._exit(9)
learn(json.loads(sys.argv[1]))
"""
)
TORCHRUN = ("-m", "torch.distributed.run")
TIMEOUT = 240


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
    return port


def start(
    script: str, out: Path, launcher: Sequence[str] = (), variables: Mapping[str, str] | None = None, **settings: Any
) -> "subprocess.Popen[str]":
    path = out.with_suffix(".py")
    path.write_text(script)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    environment |= variables or {}
    command = [sys.executable, *launcher, str(path), json.dumps({"out": str(out), **settings})]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)


def result(out: Path, *jobs: "subprocess.Popen[str]") -> dict[str, Any]:
    for job in jobs:
        _, said = job.communicate(timeout=TIMEOUT)
        assert job.returncode == 0, said[-2000:]
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("alone") / "one"
    return result(out, start(PLAIN, out))


def assert_same(several: dict[str, Any], one: dict[str, Any]) -> None:
    assert several["loss"] == pytest.approx(one["loss"], rel=0.02)
    assert several["features"] == one["features"]


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path, alone: dict[str, Any]) -> None:
    out, state = tmp_path / "two", tmp_path / "state"
    processes: dict[str, Any] = {"devices": 2, "strategy": "ddp", "checkpoint": str(state), "resume": True}
    assert_same(result(out, start(PLAIN, out, [*TORCHRUN, "--nproc-per-node", "2"], **processes)), alone)
    assert [path.name for path in state.iterdir()] == ["fit_1.ckpt"]


@pytest.mark.slow
def test_two_machines_learn_what_one_does(tmp_path: Path, alone: dict[str, Any]) -> None:
    out = tmp_path / "machines"
    port = free_port()
    jobs = [
        start(
            PLAIN,
            out,
            [*TORCHRUN, "--nnodes", "2", "--node-rank", str(node), "--nproc-per-node", "1", "--master-addr",
             "localhost", "--master-port", str(port)],
            num_nodes=2,
        )
        for node in range(2)
    ]  # fmt: skip
    assert_same(result(out, *jobs), alone)


@pytest.mark.slow
def test_a_process_that_has_lost_another_says_so(tmp_path: Path) -> None:
    shared = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port()), "NODE_RANK": "0"}
    first, second = (
        start(DYING, tmp_path / "lost", variables=shared | {"LOCAL_RANK": str(number)}, devices=2, strategy="ddp")
        for number in range(2)
    )
    _, said = first.communicate(timeout=TIMEOUT)
    second.communicate(timeout=TIMEOUT)
    assert second.returncode == 9
    assert first.returncode == 1
    message = (
        "ProcessError: All 2 processes must go on to the end of the training, but process 0 has lost the connection"
    )
    assert message in said
    assert not (tmp_path / "lost").exists()


def test_errors_of_one_process_are_its_own() -> None:
    for n_parts, error in ((1, RuntimeError("gloo")), (2, RuntimeError("another")), (2, ValueError("gloo"))):
        with pytest.raises(type(error), match=str(error)), connected(0, n_parts):
            raise error


@pytest.mark.slow
def test_ray_train_starts_two_processes(tmp_path: Path, alone: dict[str, Any]) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "workers"
    assert_same(result(out, start(ON_RAY, out, devices=2, strategy="ddp")), alone)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_variables(**values: str) -> None:
        for name in [name for name in os.environ if name.startswith("SLURM_")]:
            monkeypatch.delenv(name)
        for name, value in values.items():
            monkeypatch.setenv(f"SLURM_{name}", value)

    return set_variables


@pytest.mark.parametrize("tasks", [{"NTASKS": "4"}, {"NTASKS": "4", "NTASKS_PER_NODE": "4", "STEP_NUM_TASKS": "4"}])
def test_one_process_trains_by_itself_whatever_slurm_has_started(
    slurm: Callable[..., None], tasks: dict[str, str]
) -> None:
    slurm(JOB_NAME="job", PROCID="0", LOCALID="0", NODEID="0", NNODES="1", **tasks)
    X = pd.DataFrame({"a": np.arange(40.0)})
    TabAttnRegressor(max_epochs=1, n_members=1, d_token=8).fit(X, X["a"])


def test_where_slurm_is_installed_a_fit_does_not_mention_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    X = pd.DataFrame({"a": np.arange(40.0)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TabAttnRegressor(max_epochs=1, n_members=1, d_token=8).fit(X, X["a"])


@pytest.mark.parametrize(
    ("tasks", "got"),
    [
        ({"NTASKS": "2", "NTASKS_PER_NODE": "2"}, "got 2 x 1 where it has started 1"),
        ({"NTASKS": "2", "STEP_NUM_TASKS": "2"}, "number of processes of each machine, got that of all, 2, alone"),
        ({"NTASKS": "4", "NTASKS_PER_NODE": "4", "STEP_NUM_TASKS": "4"}, "got 2 x 1 where it has started 4"),
    ],
)
def test_processes_that_slurm_has_not_started_are_not_waited_for(
    slurm: Callable[..., None], tasks: dict[str, str], got: str
) -> None:
    slurm(JOB_NAME="job", **tasks)
    X = pd.DataFrame({"a": np.arange(40.0)})
    with pytest.raises(ParameterError, match=f"{got}. Start them with: srun --nodes=1 --ntasks-per-node=2"):
        TabAttnRegressor(max_epochs=1, n_members=1, d_token=8, devices=2).fit(X, X["a"])


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
