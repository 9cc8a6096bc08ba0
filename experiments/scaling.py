"""How far does training scale over processes, GPUs and machines?

    python -m experiments.scaling
    torchrun --nproc-per-node 2 -m experiments.scaling --worker 2       # one of its measurements, printed

*Measured*: rows a second of one and of two processes on CPUs (gloo), one thread each, 28 columns and 4 members that
share tokens, global batches of 256 and 2,048 rows, medians of three epochs.

*Simulated*: step by step, every GPU takes the time that `gpu.csv` has for its part of a batch, times a random factor
(log-normal, 3 %), and half as long again in one of a thousand steps; the slowest one is waited for; then gradients (4
bytes of each parameter) are averaged by a ring, whose time is 2 (n - 1) / n bytes / bandwidth + 2 (n - 1) latencies, or
a tree with 2 log2(n) latencies, whichever is faster. Assumed: 8 GPUs a machine with 300 GB/s and 5 microseconds between
them, 40 GB/s and 20 microseconds between machines; nothing of it overlaps with computing, which is pessimistic. The
same simulation with the measured time of one process, and the bandwidth and latency that gloo was measured to have,
is held against the two processes that were measured.

Kept in results/scaling.csv: rows a second, and efficiency, which is the fraction of as many times the rows a second of
one GPU or process at the same rows for each (weak scaling), or at the same global batch (strong scaling).
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import distributed

from experiments.gpu import N_COLUMNS
from experiments.result_file import RESULTS, ResultFile, add_result_arguments, read_rows
from experiments.shapes import default_shape
from experiments.streamed import made
from tabattn.nn.model import TabAttnModel
from tabattn.training.fitting import train
from tabattn.training.holdout import HoldOut
from tabattn.training.settings import OptimizerSettings, Processes, TrainingSettings

COMMAND = "python -m experiments.scaling"
N_ROWS, N_VALIDATING, N_EPOCHS, BATCH_SIZES = 16_384, 256, 3, (256, 2_048)
ONE_HALF = tuple(size // 2 for size in BATCH_SIZES)
CPU_MEMBERS, BYTES_PER_PARAMETER = 4, 4
GPUS_PER_NODE, NODES = 8, (1, 2, 4, 8, 16, 32)
ROWS_PER_GPU, GLOBAL_BATCH = (4_096, 65_536), 65_536
JITTER, STRAGGLER_CHANCE, STRAGGLER_FACTOR, N_STEPS = 0.03, 0.001, 1.5, 2_000
N_REDUCTIONS = 50


@dataclass(frozen=True)
class Link:
    """How processes are connected.

    Args:
        bandwidth: Bytes a second of each process.
        latency: Seconds of a message.
    """

    bandwidth: float
    latency: float


NVLINK, NETWORK = Link(300e9, 5e-6), Link(40e9, 20e-6)


def n_bytes_of(n_members: int) -> int:
    """Return the bytes of the gradients of a model."""
    return BYTES_PER_PARAMETER * sum(
        each.numel() for each in TabAttnModel(default_shape(N_COLUMNS, n_members)).parameters()
    )


def seconds_to_average(n_bytes: int, n: int, link: Link) -> float:
    """Return the seconds that averaging gradients over processes takes, by a ring or a tree.

    Args:
        n_bytes: Bytes of the gradients.
        n: Number of processes.
        link: Their slowest connection.

    Source: Patarasuk and Yuan 2009 (Bandwidth optimal all-reduce algorithms for clusters of workstations).
    """
    if n == 1:
        return 0.0
    ring = 2 * (n - 1) / n * n_bytes / link.bandwidth + 2 * (n - 1) * link.latency
    tree = 2 * n_bytes / link.bandwidth + 2 * math.log2(n) * link.latency
    return min(ring, tree)


def simulated_step(seconds: float, n: int, n_bytes: int, link: Link) -> float:
    """Return the mean seconds of a step of processes that wait for the slowest, and average gradients.

    Args:
        seconds: Of a step of one.
        n: Number of processes.
        n_bytes: Bytes of the gradients.
        link: Their slowest connection.
    """
    random = np.random.default_rng(n)
    factor = random.lognormal(0.0, JITTER, (N_STEPS, n))
    factor *= np.where(random.random(factor.shape) < STRAGGLER_CHANCE, STRAGGLER_FACTOR, 1.0)
    return float(seconds * factor.max(axis=1).mean() + seconds_to_average(n_bytes, n, link))


def simulated(measured: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what machines of 8 GPUs would reach.

    Args:
        measured: Rows a second of one GPU, `gpu.csv`.
    """
    found = []
    for n_members in measured["members"].unique().tolist():
        cells = measured[measured["members"] == n_members]
        sizes = cells["batch_size"].to_numpy(np.float64)
        seconds = sizes / cells["rows_per_second"].to_numpy(np.float64)
        n_bytes = n_bytes_of(n_members)

        def step_of(rows: float, sizes: Any = sizes, seconds: Any = seconds) -> float:
            return float(np.interp(rows, sizes, seconds))

        for scaling, rows in (*(("weak", rows) for rows in ROWS_PER_GPU), ("strong", GLOBAL_BATCH)):
            for n in (1, *(GPUS_PER_NODE * nodes for nodes in NODES)):
                own = rows if scaling == "weak" else rows / n
                link = NVLINK if n <= GPUS_PER_NODE else NETWORK
                step = simulated_step(step_of(own), n, n_bytes, link)
                found.append(
                    {
                        "how": "simulated", "scaling": scaling, "members": n_members, "processes": n,
                        "rows_per_process": round(own), "gradient_mb": round(n_bytes / 1e6, 2),
                        "step_ms": round(1e3 * step, 3),
                        "averaging_ms": round(1e3 * seconds_to_average(n_bytes, n, link), 3),
                        "rows_per_second": round(n * own / step),
                        "efficiency": round(step_of(rows) / step * (1.0 if scaling == "weak" else 1 / n), 3),
                        "read_gb_per_second": round(4 * N_COLUMNS * n * own / step / 1e9, 3),
                    }
                )  # fmt: skip
    return found


def worker(n: int) -> None:
    """Train as one of some processes; the first prints seconds of an epoch, and those of averaging gradients."""
    torch.set_num_threads(1)
    rows, shape = made(N_ROWS + N_VALIDATING, N_COLUMNS), default_shape(N_COLUMNS, CPU_MEMBERS)
    held_out = HoldOut.of((torch.arange(len(rows)) >= N_ROWS)[:, None])
    processes = Processes(n, 1, "ddp" if n > 1 else "auto")
    seconds: dict[str, float] = {}
    for size in (*BATCH_SIZES, *ONE_HALF):
        settings = TrainingSettings(OptimizerSettings(1e-3, 0.0), size, 1, 1, 0, "cpu", processes=processes)
        took = []
        for _ in range(N_EPOCHS + 1):
            begun = time.perf_counter()
            train(shape, rows, held_out, settings)
            took.append(time.perf_counter() - begun)
        seconds[str(size)] = float(np.median(took[1:]))
    averaging = {"small": 0.0, "whole": 0.0}
    if n > 1:
        for name, n_values in (("small", 1), ("whole", n_bytes_of(CPU_MEMBERS) // BYTES_PER_PARAMETER)):
            values, took = torch.ones(n_values), []
            for _ in range(N_REDUCTIONS):
                begun = time.perf_counter()
                distributed.all_reduce(values)
                took.append(time.perf_counter() - begun)
            averaging[name] = float(np.median(took))
    if int(os.environ.get("RANK", 0)) == 0:
        print(json.dumps({"seconds": seconds, "averaging": averaging}))


def measured_processes() -> list[dict[str, Any]]:
    """Measure one and two processes, and simulate the two from the one."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    results = {}
    for n in (1, 2):
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(n)]
        command += ["-m", "experiments.scaling", "--worker", str(n)]
        said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        results[n] = json.loads(said.strip().splitlines()[-1])
    n_bytes, averaging = n_bytes_of(CPU_MEMBERS), results[2]["averaging"]
    latency = averaging["small"] / 2
    link = Link(n_bytes / max(1e-9, averaging["whole"] - averaging["small"]), latency)
    found = []
    for size in BATCH_SIZES:
        n_steps = N_ROWS / size
        one = results[1]["seconds"][str(size)] / n_steps
        of_half = results[1]["seconds"][str(size // 2)] / n_steps / 2
        steps = {("measured", 1): one, ("measured", 2): results[2]["seconds"][str(size)] / n_steps}
        steps["simulated", 2] = simulated_step(of_half, 2, n_bytes, link)
        for (how, n), step in steps.items():
            found.append(
                {
                    "how": f"{how}, CPU", "scaling": "strong", "members": CPU_MEMBERS, "processes": n,
                    "rows_per_process": size // n, "gradient_mb": round(n_bytes / 1e6, 2),
                    "step_ms": round(1e3 * step, 3), "averaging_ms": round(1e3 * averaging["whole"] * (n > 1), 3),
                    "rows_per_second": round(size / step), "efficiency": round(one / step / n, 3),
                    "read_gb_per_second": round(4 * N_COLUMNS * size / step / 1e9, 5),
                }
            )  # fmt: skip
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, simulate and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--worker", type=int, help="number of processes, of which this is one")
    add_result_arguments(parser, "scaling.csv", restartable=False)
    options = parser.parse_args(arguments)
    if options.worker:
        worker(options.worker)
        return
    rows = [*measured_processes(), *simulated(read_rows(RESULTS / "gpu.csv"))]
    print(pd.DataFrame(rows).to_string(index=False))
    ResultFile(options.out, COMMAND).write(rows)


if __name__ == "__main__":
    main()
