"""Reports that are made by hand, of any size and with any names."""

import math
from collections.abc import Sequence

import numpy as np

from tabattn.choices import Language
from tabattn.output.report.content import (
    Curve,
    EliminationStep,
    Fact,
    Interaction,
    Model,
    Quantized,
    Report,
    ReportedAttention,
    ReportedBetween,
    ReportedColumn,
    ReportedFinding,
    ReportedRows,
)
from tabattn.table.distributions import Distribution

N_ROWS, N_EPOCHS, MEMBERS_LAYERS_HEADS = 60, 60, (8, 3, 2)


def column_of(rank: int, name: str, n_columns: int) -> ReportedColumn:
    """A column whose importance falls with its rank, and whose permutation rank is the rank from the other end."""
    values = tuple(f"{value:.6g}" for value in np.linspace(-1.2345, 1.2345, 13))
    curve = tuple(float(value) for value in np.sin(np.linspace(0, 3, 13)) * rank)
    return ReportedColumn(
        rank=rank, feature=name, kind="numeric", unit="℃" if rank == 1 else "", importance=1 / (rank + 1), std=0.01,
        ci_low=0.5 / (rank + 1), ci_high=1.5 / (rank + 1), permutation=0.1 / rank, permutation_std=0.01,
        permutation_rank=n_columns + 1 - rank, p_value=0.001 * rank, q_value=0.002 * rank, selected=rank <= 2,
        conditional=0.01, sampler_fit=0.5, direction="up", effect=-1.5, effect_on="", same_as=(), acts_with=(),
        curve=Curve(values, curve, curve, curve, curve, (10,) * 13, is_ordered=True),
        counts=Distribution(name, tuple(f"{value:.6g}" for value in np.linspace(0, 1, 21)), (5,) * 20, True, 3, 0),
    )  # fmt: skip


def report_with(names: Sequence[str], language: Language = "en") -> Report:
    """A report of columns with these names, which also stand wherever else names may."""
    n, random = len(names), np.random.default_rng(0)
    columns = tuple(column_of(rank, name, n) for rank, name in enumerate(names, start=1))
    attention = ReportedAttention(
        names=tuple(names),
        by_head=Quantized(random.random((*MEMBERS_LAYERS_HEADS, n))),
        by_row=Quantized(random.random((N_ROWS, n))),
        epochs=tuple(range(1, N_EPOCHS + 1)),
        by_epoch=Quantized(random.random((N_EPOCHS, n))),
        best_epoch=40,
        between=ReportedBetween(tuple(names[:60]), Quantized(random.random((min(n, 60), min(n, 60))))),
    )
    rows = ReportedRows(
        numbers=tuple(str(row) for row in range(N_ROWS)),
        target=("1.2345",) * N_ROWS,
        prediction=("1.2222",) * N_ROWS,
        scores=Quantized(random.random((N_ROWS, n))),
        cells=tuple(tuple(f"{cell:.5g}" for cell in row) for row in random.normal(size=(N_ROWS, min(n, 200)))),
    )
    return Report(
        language=language,
        title=f"about {names[0]}",
        question=f"What drives {names[0]}?",
        answer=(f"It is {names[0]}.",),
        target=names[0],
        unit="",
        facts=(Fact("Prediction", f"r2 {names[0]}", "", "good"), Fact("Findings", "one", names[0], "serious")),
        findings=(ReportedFinding("leak", "serious", names[0], f"{names[0]!r} tells it", tuple(names)),),
        columns=columns,
        models=(Model("tabattn", (("r2", 0.9), ("rmse", math.nan))),),
        agreement=(("spearman", 0.5),),
        attention=attention,
        rows=rows,
        interactions=(Interaction(names[0], names[-1], 0.1, 0.01, selected=True),),
        elimination=(
            EliminationStep("", n, 0.1, 1.0, is_sufficient=True),
            EliminationStep(names[-1], n - 1, 0.2, 0.9, is_sufficient=False),
        ),
        settings=(("task", names[0]),),
        command=f"tabattn rank {names[0]}",
    )
