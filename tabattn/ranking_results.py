"""What `rank` returns: the ranking with all that belongs to it, as tables, plots, a report and files."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from typing_extensions import override

from tabattn.arrays import Array
from tabattn.choices import Language
from tabattn.diagnostics.findings import Finding, findings_table
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.files import write_atomic
from tabattn.fitted.interactions import INTERACTION_COLUMNS
from tabattn.fitted.sufficient import elimination_table
from tabattn.importance.comparison import Agreement
from tabattn.importance.effects import effects_table
from tabattn.importance.permutation import PermutationScores
from tabattn.importance.table import ImportanceTable
from tabattn.importance.units import Units
from tabattn.output.report.content import Report
from tabattn.output.report.files import ReportedResults, check_language
from tabattn.output.results import csv_writer
from tabattn.output.terminal import print_ranking, printed
from tabattn.pooling import SUBSET_COLUMNS
from tabattn.reporting import report_of
from tabattn.table.distributions import Distribution
from tabattn.table.problem import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes


N_DRAWN_EFFECTS = 6


@dataclass(frozen=True, eq=False, repr=False)
class Ranking(ReportedResults):
    """Results of `rank`.

    Args:
        table: The ImportanceTable, see `tabattn.importance.table`.
        agreement: How far attention and permutation importance agree, see `Agreement`.
        models: Scores on held-out rows of the fitted estimator, of a constant and of gradient boosting.
        mean_attention: Attention averaged over members and held-out rows, layers and heads against features.
        estimator: The fitted estimator.
        units: The columns and groups that were ranked, in the order of the table.
        problem: Features and target as they were used.
        n_train: Number of rows fitted.
        n_held_out: Number of rows that scores and rankings come from.
        permutation: Permutation importance, of the held-out rows or enough of them, see `enough_rows`.
        n_permuted: Number of these rows.
        n_scored: Number of held-out rows that were scored: all, but by "shapley" or for want of time.
        findings: What a reader of the ranking should know.
        clusters: The ImportanceTable with columns that say the same as one; None where there are none.
        without_leaks: The ImportanceTable of a second fit, without the columns that give the target away; None where
            there are none.
        effects: What is predicted with each value of each column, see `effects_table`.
        interactions: Pairs of selected columns that act together, see `tabattn.fitted.interactions`.
        sufficient_set: Backward elimination to the smallest set of columns that predicts as well as all, see
            `elimination_table`.
        by_class: Rankings within the held-out rows of each class, see `subset_table`; None for a regression.
        by_level: Rankings within the held-out rows of each level of the columns that were asked for; None where none
            were.
        held_out: Which rows were held out, in words.
        shortened: What was done by less than usual because of `time_limit`, in words; empty where there was time.
        fdr: Rate of false discoveries among the columns that are selected.
        distributions: How the cells of each column are distributed, over all rows.
        associations: How the first columns of the ranking go together, see `tabattn.diagnostics.associations`.
        member_agreement: How far the rankings of single members agree, see `mean_agreement` in
            `tabattn.diagnostics.stability`.
        fold_agreement: The same for the rankings of single folds; NaN without folds.
        held_out_positions: Positions of the held-out rows among those of `problem`; with folds, of all.
    """

    table: ImportanceTable
    agreement: Agreement
    models: pd.DataFrame
    mean_attention: pd.DataFrame
    estimator: TabAttnRegressor | TabAttnClassifier
    units: Units
    problem: Problem
    n_train: int
    n_held_out: int
    permutation: PermutationScores
    n_permuted: int
    n_scored: int
    findings: tuple[Finding, ...] = ()
    clusters: ImportanceTable | None = None
    without_leaks: ImportanceTable | None = None
    effects: pd.DataFrame = field(default_factory=lambda: effects_table((), ()))
    interactions: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(INTERACTION_COLUMNS)))
    sufficient_set: pd.DataFrame = field(default_factory=lambda: elimination_table((), ()))
    by_class: pd.DataFrame | None = None
    by_level: pd.DataFrame | None = None
    held_out: str = ""
    shortened: tuple[str, ...] = ()
    fdr: float = 0.1
    distributions: tuple[Distribution, ...] = ()
    associations: pd.DataFrame = field(default_factory=pd.DataFrame)
    member_agreement: float = float("nan")
    fold_agreement: float = float("nan")
    held_out_positions: Array = field(default_factory=lambda: np.arange(0))

    def __repr__(self) -> str:
        """Return what the command line prints of it."""
        return printed(lambda console: print_ranking(console, self, str(self.problem.y.name)))

    @property
    def comparison(self) -> pd.DataFrame:
        """Agreement of the rankings and scores of the models, one measure per row."""
        scores = self.models.melt(id_vars="model", var_name="score")
        measures = [*self.agreement, *(scores["score"] + "_" + scores["model"])]
        return pd.DataFrame({"measure": measures, "value": [*self.agreement.values(), *scores["value"]]})

    @property
    def diagnostics(self) -> pd.DataFrame:
        """What a reader of the ranking should know, one finding per row, see `findings_table`."""
        return findings_table(self.findings)

    @property
    def training_attention(self) -> pd.DataFrame:
        """Mean attention to each feature at each epoch in each mode, one per row."""
        history = self.estimator.attention_history_
        n_rows, n_features = history.shape
        return pd.DataFrame(
            {
                "mode": history.index.get_level_values("mode").repeat(n_features),
                "epoch": history.index.get_level_values("epoch").repeat(n_features),
                "feature": np.tile(history.columns, n_rows),
                "attention": history.to_numpy().ravel(),
            }
        )

    def to_csv(self, path: str | Path, *, excel_safe: bool = False) -> None:
        """Write the table as UTF-8 CSV, atomically.

        Args:
            path: Where to.
            excel_safe: Whether text cells that a spreadsheet would take for a formula get an apostrophe before them.

        Raises:
            OutputError: The file can't be written.
        """
        write_atomic(Path(path), csv_writer(self.table, excel_safe=excel_safe))

    @override
    def report(self, *, language: Language = "en", command: str = "") -> Report:
        check_language(language)
        return report_of(self, language=language, command=command)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the ranking as bars.

        Args:
            ax: Where to draw; None for a new figure.

        Returns:
            The Axes.
        """
        from tabattn.output.plots import plot_importance

        return plot_importance(self.table, ax)

    @override
    def writers(
        self, *, excel_safe: bool = False, language: Language = "en", command: str = "", excel: bool = False
    ) -> dict[str, Callable[[Path], None]]:
        files = super().writers(excel_safe=excel_safe, language=language, command=command, excel=excel)
        return files | {"model.tabattn": self.estimator.save}

    @override
    def _plots(self, language: Language) -> "dict[str, Callable[[], Axes]]":
        from tabattn.output.fonts import warn_of_missing_glyphs
        from tabattn.output.plots import (
            plot_agreement,
            plot_attention,
            plot_clusters,
            plot_effects,
            plot_history,
            plot_importance,
            plot_ranks,
        )

        warn_of_missing_glyphs((*self.table["feature"], *self.mean_attention.columns))
        effects, target = self._first_effects(), str(self.problem.y.name)
        drawn: dict[str, Callable[[], Axes]] = (
            {"effects": lambda: plot_effects(effects, target=target, language=language)} if effects else {}
        )
        if len(self.associations) > 1:
            drawn["clusters"] = lambda: plot_clusters(self.associations, language=language)
        return drawn | {
            "importance": lambda: plot_importance(self.table, language=language),
            "ranks": lambda: plot_ranks(self.table, language=language),
            "agreement": lambda: plot_agreement(self.table, language=language),
            "attention": lambda: plot_attention(self.mean_attention, language=language),
            "training": lambda: plot_history(
                self.estimator.attention_history_, best_epoch=self.estimator.best_epoch_, language=language
            ),
        }

    def _first_effects(self) -> list[pd.DataFrame]:
        """Return the effects of the first columns, each on the number or on the class that it moves most."""
        shown = []
        for row in self.table.head(N_DRAWN_EFFECTS).itertuples():
            effect = self.effects[self.effects["feature"] == row.feature]
            if isinstance(row.effect_on, str):
                effect = effect[effect["output"] == row.effect_on]
            shown += [effect] if len(effect) else []
        return shown

    @override
    def _tables(self) -> dict[str, pd.DataFrame]:
        tables = {
            "importance": self.table,
            "comparison": self.comparison,
            "diagnostics": self.diagnostics,
            "training_attention": self.training_attention,
            "effects": self.effects,
            "interactions": self.interactions,
            "sufficient_set": self.sufficient_set,
            "associations": self.associations.reset_index(),
        }
        further = {"importance_of_clusters": self.clusters, "importance_without_leaks": self.without_leaks}
        tables |= {name: self.table.head(0) if table is None else table for name, table in further.items()}
        subsets = {"importance_by_class": self.by_class, "importance_by_level": self.by_level}
        nothing = pd.DataFrame(columns=list(SUBSET_COLUMNS))
        return tables | {name: nothing if table is None else table for name, table in subsets.items()}
