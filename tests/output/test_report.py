"""What a report says, as a page, as JSON and as Markdown, whatever the names are."""

import base64
import itertools
import json
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

import tabattn
from tabattn import explain, rank
from tabattn.cli.text import LEARNED
from tabattn.errors import ParameterError, TabAttnError, printable
from tabattn.output.report.html import READING, render_html
from tabattn.output.report.markdown import render_markdown
from tabattn.progress import NAMES as PHASES
from tabattn.ranking_results import Ranking
from tabattn.translations import KOREAN, KOREAN_ADVICE, KOREAN_ERRORS, translate
from tests.conftest import FAST, run
from tests.output.reports import report_with

FOLDER = Path(tabattn.__file__).parent / "output" / "report"
NAMES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=2, max_size=4, unique=True)
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--",
    "&amp;",
    '" onload="x',
    "]]>",
    "{{ 7*7 }}",
    "\x1b[2J\u202e",
    "온도",
]


class Page(HTMLParser):
    """The texts of a page by their element, and the names of all elements and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "script":
            self.scripts.append("")
        if tag == "a":
            self.links.append("")
        self.open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    @override
    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif "a" in self.open:
            self.links[-1] += data


@settings(deadline=None, max_examples=30)
@given(NAMES)
def test_names_are_text_in_the_page_whatever_they_are(names: list[str]) -> None:
    page, plain = (
        Page(render_html(report_with(names))),
        Page(render_html(report_with(["a", "b", "c", "d"][: len(names)]))),
    )
    assert page.links == [printable(name) for name in names]
    assert (page.tags, page.attributes) == (plain.tags, plain.attributes)
    assert not any(attribute.startswith("on") for attribute in page.attributes)
    content: dict[str, Any] = json.loads(page.scripts[0])
    assert [column["feature"] for column in content["columns"]] == names
    assert content["attention"]["names"] == names


def test_hostile_names_are_text() -> None:
    page = Page(render_html(report_with(HOSTILE)))
    assert page.links == [printable(name) for name in HOSTILE]
    assert len(page.scripts) == 3
    assert json.loads(page.scripts[0])["columns"][0]["feature"] == HOSTILE[0]


@settings(deadline=None, max_examples=30)
@given(NAMES)
def test_rows_of_markdown_have_as_many_cells_whatever_the_names(names: list[str]) -> None:
    lines = render_markdown(report_with(names)).split("\n")
    table = [line for line in lines if re.match(r"\| \d+ \|", line)]
    assert len(table) == len(names)
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table} == {11}


@pytest.mark.parametrize(("n_columns", "megabytes"), [(80, 1), (500, 2), (2000, 6)])
def test_a_page_is_small(n_columns: int, megabytes: float) -> None:
    names = [f"a column with a name of usual length {number}" for number in range(n_columns)]
    assert len(render_html(report_with(names)).encode()) < megabytes * 1_000_000


def test_a_page_loads_nothing() -> None:
    page = render_html(report_with(["a", "b"]))
    assert "default-src 'none'" in page
    assert set(re.findall(r"https?://[^\s\"'<)]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not {"img", "link", "iframe", "object", "base", "form"} & set(Page(page).tags)


def test_the_same_report_has_the_same_bytes() -> None:
    assert render_html(report_with(["a", "b"])) == render_html(report_with(["a", "b"]))


def test_every_word_is_known_in_korean() -> None:
    """Whatever is translated, in Python, in the page and in its script, is in the dictionary."""
    package = FOLDER.parents[1]
    modules = [*package.glob("*.py"), *package.glob("output/*.py"), *package.glob("cli/*.py")]
    files = [path for path in (*FOLDER.glob("*"), *modules) if path.is_file()]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    said = set(
        re.findall(r"translate\((?:language, |lang, |spoken\(\), |report\.language, )?[\"']([^\"']+)[\"']", text)
    )
    said |= {*READING, *itertools.chain(*PHASES.values()), LEARNED, *re.findall(r"said = \"([^\"]+)\"", text)}
    assert len(said) > 50
    assert said - set(KOREAN) - {"", "en", "ko"} == set()
    assert {error.__name__ for error in TabAttnError.__subclasses__()} == set(KOREAN_ERRORS)
    for english, korean in KOREAN.items():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", korean)), english
    findings = (FOLDER.parents[2] / "docs" / "findings.md").read_text(encoding="utf-8")
    codes = set(re.findall(r"^## (\w+)$", findings, re.MULTILINE))
    assert (codes - set(KOREAN), codes ^ set(KOREAN_ADVICE)) == (set(), set())


def test_korean_pages_are_korean() -> None:
    page = render_html(report_with(["온도", "압력"], "ko"))
    assert '<html lang="ko">' in page
    assert "순열 중요도" in page
    assert "믿어도 되는가?" in page
    assert translate("en", "rank") == "rank"


@pytest.fixture(scope="module", name="ranking")
def made_ranking() -> Ranking:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"heat": rng.normal(size=200), "line": rng.choice(["A", "B"], 200), "dust": rng.normal(size=200)}
    )
    table["twin"] = table["heat"] * 2 + 1e-9 * rng.normal(size=200)
    table["quality"] = np.where(
        table["heat"] + (table["line"] == "A") + 0.3 * rng.normal(size=200) > 0.5, "good", "bad"
    )
    table.loc[::9, "dust"] = np.nan
    return rank(table, "quality", **FAST)


def test_a_report_says_what_the_ranking_says(ranking: Ranking, tmp_path: Path) -> None:
    report = ranking.report()
    table = ranking.table
    assert [column.feature for column in report.columns] == list(table["feature"])
    np.testing.assert_array_equal([column.importance for column in report.columns], table["importance"])
    np.testing.assert_array_equal([column.ci_low for column in report.columns], table["ci_low"])
    assert {code.code for code in report.findings} == {finding.code for finding in ranking.findings}
    by_name = {column.feature: column for column in report.columns}
    assert by_name["heat"].same_as == ("twin",)
    dust, line = by_name["dust"].counts, by_name["line"].counts
    assert dust is not None
    assert line is not None
    assert (dust.n_missing, sum(dust.counts)) == (23, 177)
    assert (set(line.labels), sum(line.counts)) == ({"A", "B"}, 200)
    curve = by_name["heat"].curve
    effects = ranking.effects
    assert curve is not None
    shown = effects[(effects["feature"] == "heat") & (effects["output"] == by_name["heat"].effect_on)]
    np.testing.assert_array_equal(curve.prediction, shown["prediction"])
    assert len(by_name["heat"].by_part) == 2
    assert report.attention is not None
    assert report.rows is not None
    assert report.attention.by_row.array.shape == (len(report.rows.numbers), 4)
    np.testing.assert_allclose(report.attention.by_row.array.sum(axis=1), 1, rtol=1e-5)
    mean = ranking.mean_attention.to_numpy().mean(axis=0)
    np.testing.assert_allclose(report.attention.by_head.array.mean(axis=(0, 1, 2)), mean, atol=0.05)
    assert set(report.rows.prediction) <= {"good", "bad"}
    assert len(report.rows.numbers) == min(60, ranking.n_held_out)
    ranking.to_html(tmp_path / "r.html")
    assert json.loads(Page((tmp_path / "r.html").read_text(encoding="utf-8")).scripts[0]) == report.to_json()
    assert ranking._repr_html_().startswith("<iframe srcdoc=")


def test_bytes_hold_numbers_within_a_255th(ranking: Ranking) -> None:
    attention = ranking.report().to_json()["attention"]["by_row"]
    steps = np.frombuffer(base64.b64decode(attention["bytes"]), np.uint8).reshape(attention["shape"])
    report = ranking.report()
    assert report.attention is not None
    np.testing.assert_allclose(
        steps / 255 * attention["largest"], report.attention.by_row.array, atol=attention["largest"] / 500
    )


def test_cells_stand_at_the_places_of_their_columns_whatever_is_grouped(ranking: Ranking) -> None:
    X = ranking.problem.X.head(5)
    found = explain(ranking.estimator, X, groups={"idle": ["heat", "dust"]})
    rows = found.report().rows
    assert rows is not None
    for place, column in enumerate(found.report().columns):
        expected = [""] * 5 if column.feature == "idle" else [str(cell)[:4] for cell in X[column.feature]]
        assert [cells[place][:4] for cells in rows.cells] == expected


def test_a_report_of_new_rows_says_what_the_explanation_says(ranking: Ranking, tmp_path: Path) -> None:
    table = ranking.problem.X.assign(heat=lambda X: X["heat"] + 4)
    found = explain(ranking.estimator, table.assign(quality=ranking.problem.y), target="quality")
    report = found.report(language="ko")
    assert [column.feature for column in report.columns] == list(found.importance["feature"])
    assert [each.feature for each in report.drift] == list(found.drift["feature"])
    assert {remark.code for remark in report.findings} == {finding.code for finding in found.findings}
    assert report.facts[0].value.startswith("accuracy")
    assert report.rows is not None
    assert report.attention is not None
    assert report.rows.prediction == tuple(map(str, found.predictions["prediction"][:60]))
    np.testing.assert_allclose(
        report.attention.by_row.array, found.attention[list(report.attention.names)][:60], atol=1e-6
    )
    found.to_html(tmp_path / "r.html")
    assert json.loads(Page((tmp_path / "r.html").read_text(encoding="utf-8")).scripts[0])["drift"]
    unknown = explain(ranking.estimator, table.head(3)).report()
    assert unknown.facts[0].value == "unknown"
    assert len(render_markdown(unknown).splitlines()) > 10


def test_languages_without_words_are_refused(ranking: Ranking, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="language must be one of en, ko, got 'fr'"):
        ranking.to_html(tmp_path / "r.html", language="fr")  # type: ignore[arg-type]


def test_an_untrusted_ranking_gives_no_answer() -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "y"])
    with pytest.warns(tabattn.errors.UntrustedRankingWarning):
        report = rank(table, "y", **FAST).report()
    assert report.answer == ("Do not trust this ranking: the model predicts no better than a constant.",)
    assert report.facts[0].state == "serious"


def test_the_command_writes_reports_and_opens_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mixed: pd.DataFrame
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("sys.argv", ["/usr/bin/tabattn", "rank", "a b.csv"])
    mixed.to_csv(tmp_path / "t.csv", index=False)
    options = ["--target", "y", "--out", str(tmp_path / "out"), "--max-epochs", "2", "--repeats", "1"]
    done = run("rank", str(tmp_path / "t.csv"), *options, "--lang", "ko", "--open")
    assert done.code == 0, done.err
    assert opened == [(tmp_path / "out" / "report.html").as_uri()]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "무엇이 y을(를) 좌우하는가?" in page
    assert "tabattn rank &#39;a b.csv&#39;" in page
    twin = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert twin["language"] == "ko"
    assert (tmp_path / "out" / "report.md").read_text(encoding="utf-8").startswith("# 무엇이 y을")


def test_the_panel_has_the_ceiling_of_agreement_and_the_agreement_of_folds(mixed: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranking = rank(mixed, "y", folds=2, n_members=2, d_token=8, max_epochs=3, n_repeats=4, encoder="bert")
    facts = {fact.name: fact for fact in ranking.report().facts}
    assert "(ranks ± " in facts["Agreement with permutation importance"].note
    assert float(facts["Agreement of the folds with each other"].value) == pytest.approx(
        ranking.fold_agreement, rel=0.01
    )
    attention = ranking.report().attention
    assert attention is not None
    assert attention.between is not None
    weights = attention.between.weights.array
    assert weights.shape == (len(attention.between.names),) * 2
    assert np.all(weights.sum(axis=1) <= 1 + 1e-6)


def test_a_leak_is_the_first_thing_that_is_said(mixed: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranking = rank(mixed.assign(leak=2 * mixed["y"]), "y", n_repeats=1, **FAST)
    assert ranking.report().answer[0].startswith("leak gives the target away:")
    assert ranking.report(language="ko").answer[0].startswith("leak은(는) 목표값을 그대로 드러냅니다")
    assert {model.name for model in ranking.report(language="ko").models} == {"tabattn", "상수", "그래디언트 부스팅"}
