import sys
import warnings
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabattn import explain, rank
from tabattn.progress import Job, in_words


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_job_without_a_limit_has_all_the_time() -> None:
    with Job().phase("training", 10) as phase:
        assert phase.left == float("inf")
        assert phase.has_time_for_a_step


def test_a_phase_gets_its_share_of_the_time_left() -> None:
    clock = Clock()
    job = Job(100, clock=clock)
    clock.now = 20
    with job.phase("training", 10, share=0.5) as phase:
        assert phase.left == 40
        clock.now = 30
        phase.advance()
        assert phase.has_time_for_a_step
        clock.now = 55
        assert not phase.has_time_for_a_step
    assert job.left == 45


def test_what_is_expected_follows_the_pace() -> None:
    clock = Clock()
    job = Job(clock=clock)
    job.expect({"training": 100.0, "shuffles": 50.0})
    assert (job.remaining, job.expected("shuffles"), job.expected("other")) == (150, 50, 0)
    with job.phase("training", 10) as phase:
        assert job.remaining == 150
        clock.now = 2
        phase.advance("better")
        assert phase.remaining == 18
        for _ in range(9):
            phase.advance()
        clock.now = 20
    assert job.remaining == pytest.approx(10), "five times faster than expected"


def test_a_phase_that_needs_fewer_steps_says_nothing_about_the_others() -> None:
    clock = Clock()
    job = Job(1_000, clock=clock)
    job.expect({"training": 30.0, "shuffles": 50.0})
    with job.phase("training", 100, n_expected=30) as phase:
        clock.now = 10
        for _ in range(10):
            phase.advance()
        assert phase.remaining == 20
    assert job.remaining == pytest.approx(50), "as fast as expected"
    with job.phase("shuffles", share=0.01):
        clock.now = 500
    job.expect({"scores": 7.0})
    with job.phase("other"):
        clock.now = 600
    assert job.remaining == 7, "nobody expected anything of it"


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.05, 1)), min_size=1, max_size=6))
def test_phases_that_keep_their_deadlines_keep_that_of_the_job(phases: list[tuple[float, float, float]]) -> None:
    clock = Clock()
    job = Job(60, clock=clock)
    job.expect({str(i): expected for i, (expected, _, _) in enumerate(phases)})
    for i, (_, took, share) in enumerate(phases):
        with job.phase(str(i), share=share) as phase:
            clock.now += min(took, phase.left)
            assert 0 <= job.remaining <= 60
    assert clock.now <= 60 + 1e-9


def test_the_line_says_the_phase_and_the_time_left_on_the_error_stream(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the stream for a terminal then
    monkeypatch.setenv("COLUMNS", "160")
    with Job(is_shown=True).shown() as job, job.shown():
        job.expect({"training": 100.0})
        job.plan(2)
        with job.phase("training", 3) as phase:
            phase.advance("validation loss 0.5")
            job._line[0].refresh()
        with job.part(2).phase("shuffles"):
            job._line[0].refresh()
            sys.stdout.write("a line of the user\n")
    shown = capsys.readouterr()
    assert all(
        words in shown.err for words in ("1/2 training", "epoch 2 of 3, validation loss 0.5", "left", "2/2 permutation")
    )
    assert shown.out == "a line of the user\n"
    with Job().shown() as silent, silent.phase("training"):
        silent.expect({"training": 100.0})
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (99, "99 s"), (100, "2 min"), (5_999, "100 min"), (6_000, "2 h")]
)
def test_durations_are_said_in_whole_numbers(seconds: Any, words: str) -> None:
    assert in_words(seconds) == words


def test_the_phases_that_run_are_those_that_were_announced(
    mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    def job(*given: Any, **named: Any) -> Job:
        jobs.append(Job(*given, **named))
        return jobs[-1]

    monkeypatch.setattr("tabattn.ranking.Job", job)
    monkeypatch.setattr("tabattn.explanation.Job", job)
    mixed = mixed[["heat", "line", "y"]].head(150)
    with_leak = mixed.assign(leak=mixed["y"] * 2)
    settings: dict[str, Any] = {"n_members": 2, "d_token": 8, "max_epochs": 2, "n_repeats": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranking = rank(mixed, "y", **settings)
        rank(mixed, "y", folds=2, pretrain="auto", **settings)
        rank(with_leak, "y", **settings | {"max_epochs": 30})
    explain(ranking.estimator, mixed, additive=True)
    assert [each.count.n_begun for each in jobs] == [each.count.n_planned for each in jobs]
    assert [each.count.n_begun for each in jobs] == [8, 16, 12, 4]
