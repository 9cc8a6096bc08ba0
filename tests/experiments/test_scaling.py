"""The simulation of several machines holds what must hold of any."""

import pandas as pd
import pytest

from experiments.scaling import NETWORK, NVLINK, Link, n_bytes_of, seconds_to_average, simulated, simulated_step


def test_averaging_takes_the_bytes_over_the_bandwidth_and_the_messages() -> None:
    assert seconds_to_average(1_000, 1, NETWORK) == 0
    assert seconds_to_average(8_000_000, 4, Link(1e9, 0.0)) == pytest.approx(2 * 3 / 4 * 8e-3)
    assert seconds_to_average(0, 1_024, Link(1e9, 1e-3)) == pytest.approx(2 * 10 * 1e-3), "a tree"
    assert seconds_to_average(n_bytes_of(8), 64, NETWORK) > seconds_to_average(n_bytes_of(8), 64, NVLINK)


def test_a_step_waits_for_the_slowest() -> None:
    steps = [simulated_step(0.01, n, 0, Link(1e9, 0.0)) for n in (1, 8, 64)]
    assert steps[0] == pytest.approx(0.01, rel=0.02)
    assert steps == sorted(steps)


def test_more_gpus_reach_more_rows_but_not_as_many_times() -> None:
    one_gpu = pd.DataFrame({"members": 1, "batch_size": [4_096, 65_536], "rows_per_second": [4e5, 2e6]})
    weak = [each for each in simulated(one_gpu) if each["scaling"] == "weak" and each["rows_per_process"] == 4_096]
    assert [each["processes"] for each in weak] == [1, 8, 16, 32, 64, 128, 256]
    assert weak[0]["efficiency"] == pytest.approx(1.0, abs=0.01)
    speeds, efficiencies = [each["rows_per_second"] for each in weak], [each["efficiency"] for each in weak]
    assert speeds == sorted(speeds)
    assert efficiencies == sorted(efficiencies, reverse=True)
