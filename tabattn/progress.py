"""How far a job has come, and how long it may take: one object that is handed down to whatever takes long."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from tabattn.translations import spoken, translate

MAX_SPEED_CORRECTION = 20.0
NAMES = {
    "rows to disk": ("rows to disk, to learn from all", "file"),
    "pretraining": ("pretraining", "epoch"),
    "training": ("training", "epoch"),
    "shuffles": ("permutation importance", "shuffle"),
    "scores": ("importance by attention", ""),
    "gradient boosting": ("gradient boosting and leaks, to compare with", ""),
    "tests": ("tests of what each column adds to the others", ""),
    "interactions": ("which columns act together", ""),
    "sufficient set": ("which columns suffice", ""),
    "effects": ("which way each column acts", ""),
}
"""What people call a phase, and one of its steps."""


@dataclass
class Count:
    """How many phases there are.

    Args:
        n_begun: Number of the phases that have begun.
        n_planned: Number of all phases, as far as it is known.
    """

    n_begun: int = 0
    n_planned: int = 0


@dataclass
class Phase:
    """A part of a job.

    Args:
        name: What is done, for people.
        expected: Seconds that it was expected to take.
        n_steps: Number of its steps, at most.
        n_expected: How many of them are expected.
        started: When it began.
        deadline: When it must be over; `inf` without a limit.
        clock: Returns the time in seconds.
        notice: Called after every step.
        n_done: Steps that are done.
        note: What to say about the last step.
    """

    name: str
    expected: float
    n_steps: int
    n_expected: int
    started: float
    deadline: float
    clock: Callable[[], float]
    notice: Callable[[], None]
    n_done: int = 0
    note: str = ""

    def advance(self, note: str = "") -> None:
        """Tell that a step is done.

        Args:
            note: What to say about it.
        """
        self.n_done += 1
        self.note = note
        self.notice()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self.clock() - self.started

    @property
    def left(self) -> float:
        """Seconds until the deadline: `inf` without one, negative after it."""
        return self.deadline - self.clock()

    @property
    def has_time_for_a_step(self) -> bool:
        """Whether one more step as long as the ones before ends before the deadline."""
        return self.left > (self.elapsed / self.n_done if self.n_done else 0.0)

    @property
    def remaining(self) -> float:
        """Seconds that it is expected to take still, from its pace if there is one."""
        total = self.elapsed / self.n_done * max(self.n_expected, self.n_done) if self.n_done else self.expected
        return max(0.0, min(total - self.elapsed, self.left))

    @property
    def slowness(self) -> float | None:
        """How many times longer than expected a step has taken; None where that can't be told."""
        if self.expected <= 0 or self.left <= 0:
            return None
        return self.elapsed / self.expected * (self.n_expected / self.n_done if self.n_done else 1.0)


@dataclass
class Job:
    """A job in phases, silent and without a limit unless told otherwise.

    Args:
        time_limit: Seconds that it may take; None for no limit.
        is_shown: Whether to show a line with the phase and the time left on the standard error stream.
        clock: Returns the time in seconds.

    Attributes:
        shortened: What was done by less than usual, because of the limit, in words.

    Example:
        >>> job = Job(time_limit=60, clock=lambda: 0.0)
        >>> job.expect({"training": 10.0, "shuffles": 5.0})
        >>> with job.phase("training", n_steps=30, share=0.5) as phase:
        ...     (phase.deadline, phase.remaining, job.remaining)
        (30.0, 10.0, 15.0)
    """

    time_limit: float | None = None
    is_shown: bool = False
    clock: Callable[[], float] = time.monotonic
    shortened: list[str] = field(init=False, default_factory=list)
    count: Count = field(init=False, default_factory=Count)
    _started: float = field(init=False)
    _expected: dict[str, float] = field(init=False, default_factory=dict)
    _phase: Phase | None = field(init=False, default=None)
    _line: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._started = self.clock()

    @property
    def left(self) -> float:
        """Seconds until the limit: `inf` without one, negative after it."""
        return float("inf") if self.time_limit is None else self._started + self.time_limit - self.clock()

    @property
    def remaining(self) -> float:
        """Seconds that the job is expected to take still."""
        running = 0.0 if self._phase is None else self._phase.remaining
        return min(running + sum(self._expected.values()), max(self.left, 0.0))

    def expected(self, name: str) -> float:
        """Return how many seconds a phase to come is expected to take, 0 if that is not known.

        Args:
            name: Its name.
        """
        return self._expected.get(name, 0.0)

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Tell how long phases to come are expected to take.

        Args:
            seconds: By the name of the phase.
        """
        self._expected |= seconds
        self._show()

    def plan(self, n_phases: int) -> None:
        """Announce further phases.

        Args:
            n_phases: Their number.
        """
        self.count.n_planned += n_phases

    @contextmanager
    def phase(self, name: str, n_steps: int = 1, share: float = 1.0, n_expected: int | None = None) -> Iterator[Phase]:
        """Run a phase.

        What other phases are expected to take is corrected by how long its steps took.

        Args:
            name: What is done, for people.
            n_steps: Number of its steps, at most.
            share: Fraction of the time left that it may take.
            n_expected: Number of the steps that it is expected to need; None for all of them.
        """
        self.count.n_begun += 1
        n_expected = n_steps if n_expected is None else min(n_expected, n_steps)
        now, expected = self.clock(), self._expected.pop(name, 0.0)
        outer, self._phase = (
            self._phase,
            Phase(name, expected, n_steps, n_expected, now, now + share * self.left, self.clock, self._show),
        )
        self._show()
        try:
            yield self._phase
        finally:
            slowness, self._phase = self._phase.slowness, outer
            if slowness is not None:
                factor = min(max(slowness, 1 / MAX_SPEED_CORRECTION), MAX_SPEED_CORRECTION)
                self._expected = {each: factor * seconds for each, seconds in self._expected.items()}

    def part(self, n_parts: int) -> "Job":
        """Return a job for the next of some equal parts of what is left, which shows itself in the same line.

        Args:
            n_parts: How many parts are left; this job itself for one.
        """
        if n_parts == 1:
            return self
        part = Job(None if self.time_limit is None else max(self.left, 0.0) / n_parts, self.is_shown, self.clock)
        part._line, part.count = self._line, self.count
        return part

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Show the line, if that is wanted, until the job is done; it disappears then."""
        if not self.is_shown or self._line is not None:
            yield self
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        line = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with line:
            self._line = (line, line.add_task("", total=None, note="", left=""))
            try:
                yield self
            finally:
                self._line = None

    def _show(self) -> None:
        if self._line is None:
            return
        line, task = self._line
        phase = self._phase
        language = spoken()
        left = translate(language, "about {time} left", time=in_words(self.remaining)) if self.remaining > 0 else ""
        if phase is None:
            line.update(task, description="", total=None, completed=0, note="", left=left)
        else:
            name, step = (translate(language, each) for each in NAMES.get(phase.name, (phase.name, "step")))
            total = max(self.count.n_planned, self.count.n_begun)
            steps = ""
            if phase.n_steps > 1:
                n_begun = min(phase.n_done + 1, phase.n_steps)
                steps = translate(language, "{step} {n} of {total}", step=step, n=n_begun, total=phase.n_steps)
            line.update(
                task,
                description=f"{self.count.n_begun}/{total} {name}",
                total=phase.n_steps,
                completed=phase.n_done,
                note=", ".join(each for each in (steps, phase.note) if each),
                left=left,
            )


def in_words(seconds: float) -> str:
    """Return a duration as people say it, in the language of `spoken`.

    Args:
        seconds: Not negative.

    Example:
        >>> in_words(7.3), in_words(150), in_words(7_300)
        ('7 s', '2 min', '2 h')
    """
    if seconds < 100:
        return translate(spoken(), "{n} s", n=f"{seconds:.0f}")
    if seconds < 6_000:
        return translate(spoken(), "{n} min", n=f"{seconds / 60:.0f}")
    return translate(spoken(), "{n} h", n=f"{seconds / 3_600:.0f}")
