"""Several processes that train together: whether they were started, and whether all of them are still there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from torch.distributed import DistError, is_torchelastic_launched

from tabattn.errors import ParameterError, ProcessError
from tabattn.training.settings import Processes

SLURM_INTERACTIVE = ("bash", "interactive")


def check_slurm(processes: Processes) -> None:
    """Refuse another number of processes than SLURM has started in this step, which would wait for each other forever.

    Args:
        processes: The processes that are to train together.

    Raises:
        ParameterError: It has.
    """
    if is_torchelastic_launched() or "SLURM_NTASKS" not in os.environ:
        return
    if os.environ.get("SLURM_JOB_NAME") in SLURM_INTERACTIVE:
        return
    devices, num_nodes = processes.devices, processes.num_nodes
    started = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    start = f"Start them with: srun --nodes={num_nodes} --ntasks-per-node={devices}"
    if started != processes.n_total:
        raise ParameterError(
            f"devices and num_nodes must be those of the processes that SLURM has started, got {devices} x {num_nodes} "
            f"where it has started {started}. {start}"
        )
    if "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise ParameterError(
            f"SLURM must be given the number of processes of each machine, got that of all, {started}, alone. {start}"
        )


@contextmanager
def connected(part: int, n_parts: int) -> Iterator[None]:
    """Raise an error that says what has happened where the connection to another process is lost.

    Args:
        part: Which of the processes this is, from 0 on.
        n_parts: Number of processes that train together.

    Raises:
        ProcessError: It was lost.
    """
    try:
        yield
    except RuntimeError as error:
        if n_parts == 1 or not (isinstance(error, DistError) or "gloo" in str(error)):
            raise
        raise ProcessError(
            f"All {n_parts} processes must go on to the end of the training, but process {part} has lost the "
            "connection to another one, which has ended or is out of reach. See what that one has printed, and start "
            "all of them again; with --resume they go on from the last epoch."
        ) from error
