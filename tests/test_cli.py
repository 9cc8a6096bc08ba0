import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from tabattn.cli.jobs import run_job
from tabattn.errors import TableError
from tabattn.importance.comparison import top_k
from tabattn.progress import Job
from tabattn.version import __version__
from tests.conftest import DATA, FILES, Done, files, run


def rank(table: Path, target: str, out: Path, *options: str) -> Done:
    return run(
        "rank", str(table), "--target", target, "--out", str(out), "--max-epochs", "2", "--repeats", "1", *options
    )


def test_the_main_job(tmp_path: Path) -> None:
    done = rank(DATA / "wine.csv", "cultivar", tmp_path / "out", "--drop", "ash", "--drop", "hue", "--method", "mean")
    assert done.code == 0, done.err
    assert files(tmp_path / "out") == FILES
    for words in (
        "Target 'cultivar': classification, 3 classes; 142 rows fitted, 36 rows held out, 11 columns.",
        "hist_gradient_boosting",
        "dummy",
        "permutation importance agree (1 shuffle per column)?",
        "Spearman",
        "(1 more in importance.csv)",
        str(tmp_path / "out"),
    ):
        assert words in done.out
    assert "ash" not in pd.read_csv(tmp_path / "out" / "importance.csv")["feature"].tolist()


def test_the_same_command_writes_the_same_bytes(tmp_path: Path) -> None:
    pd.read_csv(DATA / "wine.csv").iloc[::2, -4:].to_csv(tmp_path / "wine.csv", index=False)
    job = f"{sys.executable} -m tabattn.cli rank wine.csv --target cultivar --max-epochs 3 --repeats 2"
    for name in ("one", "two"):
        command = f"{job} --out {tmp_path / name}"
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    for name in sorted(FILES):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_korean_names_and_warnings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"온도": rng.normal(size=60), "라인": rng.choice(["가", "나"], 60), "빈칸": None})
    table["품질"] = table["온도"].where(np.arange(60) > 4)
    table.to_csv(tmp_path / "공정.csv", index=False, encoding="utf-8-sig")
    done = rank(tmp_path / "공정.csv", "품질", tmp_path / "결과")
    assert done.code == 0, done.err
    assert "tabattn: warning: 5 row(s) left out of the ranking because '품질' is missing; 55 remain." in done.err
    assert "ranked last: '빈칸'." in done.err
    importance = pd.read_csv(tmp_path / "결과" / "importance.csv")
    assert set(importance["feature"]) == {"온도", "라인", "빈칸"}


def test_the_overlap_counts_columns_that_vary(tmp_path: Path) -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["a", "b", "c"])
    table["y"] = table["a"]
    table.assign(d=1, e=1, f=1).to_csv(tmp_path / "t.csv", index=False)
    done = rank(tmp_path / "t.csv", "y", tmp_path / "out")
    assert f"of the top {top_k(3)} in common" in done.out
    assert top_k(3) != top_k(6)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, [], "must be an existing file"),
        (b"\x00\xff\xfe", [], "must be a table"),
        ("x,Y\n" + "1,2\n2,3\n" * 20, [], "Did you mean 'Y'?"),
        ("x,y\n" + "1,2\n2,2\n" * 20, [], "at least two values"),
        ("x,y\n" + "1,\n2,\n" * 20, [], "all 40 cells missing"),
        ("x,y\n" + "1,a\n2,b\n" * 20 + "1,c\n", [], "at least two rows, got 'y' with 'c'"),
        ("x,y\n" + "1,2\n2,3\n" * 5, [], "at least 20 rows"),
        ("y\n" + "2\n3\n" * 20, [], "at least one feature column"),
        ("x,x,y\n" + "1,1,2\n2,2,3\n" * 20, [], "must be unique, got 'x'"),
        ("x,y\n" + "inf,2\n2,3\n" * 20, [], "'x' must hold finite numbers"),
        ("x,y\n" + "1,inf\n2,3.5\n" * 20, [], "must be finite"),
        ("x,y\n" + "1,2\n1,3\n" * 20, [], "at least one column with more than one value"),
        ("x,d,y\n" + "1,a,2\n2,b,3\n" * 20, ["--kind", "d=datetime"], "'d' must hold dates"),
        ("x,y\n" + "1,2\n2,3\n" * 20, ["--kind", "x"], "--kind must be COLUMN=KIND, got 'x'"),
        ("x,y\n" + "1,2\n2,3\n" * 20, ["--kind", "x=word"], "one of the kinds numeric"),
        ("x,y\n" + "1,2.5\n2,3.5\n3,4.5\n" * 20 + "1,bad\n1,2..5\n", ["--task", "regression"], "such as"),
        ("x,y\n" + "1,2\n2,3\n" * 20, ["--drop", "z"], "column to drop must be a feature"),
        ("x,y\n" + "1,2\n2,3\n" * 20, ["--test-fraction", "2"], "test_fraction must be"),
        ("x,y\n" + "1,2\n2,3\n" * 20, ["--task", "clustering"], "clustering"),
        ("x,y\n" + "1,2\n2,3\n" * 20, ["--repeats", "0"], "--repeats"),
    ],
)
def test_bad_input_gets_one_clear_line_and_nothing_is_written(
    tmp_path: Path, content: str | bytes | None, options: list[str], message: str
) -> None:
    table = tmp_path / "t.csv"
    if content is not None:
        table.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = rank(table, "y", tmp_path / "out", *options)
    assert done.code == 2
    assert message in done.err
    assert done.out == ""
    assert not (tmp_path / "out").exists()
    if done.err.startswith("tabattn: "):
        assert len(done.err.strip().splitlines()) == 1


def test_the_installed_command_fails_with_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tabattn.cli",
        "rank",
        "absent.csv",
        "--target",
        "y",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "tabattn: The table must be an existing file, got 'absent.csv'. Check the path.\n"


def test_a_defect_is_no_fault_of_the_user(capsys: pytest.CaptureFixture[str]) -> None:
    def defect() -> None:
        raise KeyError("defect")

    with pytest.raises(KeyError):
        run_job(defect)

    def bad_input() -> None:
        raise TableError("The table\nmust be one.")

    with pytest.raises(typer.Exit) as ended:
        run_job(bad_input)
    assert ended.value.exit_code == 2
    assert capsys.readouterr() == ("", "tabattn: The table must be one.\n")


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = rank(tmp_path / "absent.csv", "y", tmp_path / "file" / "out")
    assert done.code == 2
    assert done.err.startswith("tabattn: The output must be a directory")


def test_version_and_help() -> None:
    assert run("--version").out == f"tabattn {__version__}\n"
    text = run("rank", "--help").out
    for option in ("--target", "--out", "--method", "--encoder", "--repeats", "--seed", "--drop", "--test-fraction"):
        assert option in text


def test_groups_and_losses(tmp_path: Path) -> None:
    options = ("--group", "fat=bmi", "--group", "fat=s5", "--loss", "pinball", "--quantile", "0.8")
    done = rank(DATA / "diabetes.csv", "progression", tmp_path / "out", *options)
    assert done.code == 0, done.err
    importance = pd.read_csv(tmp_path / "out" / "importance.csv")
    assert importance.set_index("feature")["kind"]["fat"] == "group"
    assert not {"bmi", "s5"} & set(importance["feature"])
    assert "d2_pinball" in done.out
    done = rank(DATA / "diabetes.csv", "progression", tmp_path / "out", "--group", "bmi")
    assert (done.code, done.err) == (2, "tabattn: --group must be NAME=COLUMN, got 'bmi'.\n")


def test_what_a_time_limit_left_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(100_000))
    monkeypatch.setattr("tabattn.ranking.Job", partial(Job, clock=lambda: float(next(seconds))))
    arguments = ("--target", "cultivar", "--max-epochs", "50", "--time-limit", "40", "--out", str(tmp_path / "out"))
    done = run("rank", str(DATA / "wine.csv"), *arguments)
    assert done.code == 0, done.err
    assert "The time limit allowed only: training ended in epoch " in done.out
    assert len(pd.read_csv(tmp_path / "out" / "importance.csv")) == 13
    assert run("rank", str(DATA / "wine.csv"), *arguments[:4], "--time-limit", "0", "--out", str(tmp_path)).code == 2


def test_options_of_weights_levels_logarithms_and_targets(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(80, 2)), columns=["heat", "dust"])
    table = table.assign(line=random.choice(["A", "B"], 80), n=1, y=np.exp(3 * table["heat"]), z=table["dust"])
    table.to_csv(tmp_path / "t.csv", index=False)
    options = ("--weight", "n", "--by", "line", "--log-target")
    done = rank(tmp_path / "t.csv", "y", tmp_path / "out", *options)
    assert done.code == 0, done.err
    assert "r2_log" in done.out
    assert "Which columns matter where?" in done.out
    assert files(tmp_path / "out") == FILES
    levels = pd.read_csv(tmp_path / "out" / "importance_by_level.csv")["level"]
    assert set(levels) == {"A", "B"}
    both = rank(tmp_path / "t.csv", "y", tmp_path / "both", "--target", "z")
    assert both.code == 0, both.err
    assert "Target 'y'" in both.out
    assert "Target 'z'" in both.out
    assert "importance_of_targets.csv, and in 1_y, 2_z: report.html, importance.csv" in both.out
    refused = rank(tmp_path / "t.csv", "y", tmp_path / "no", "--log-target", "--loss", "absolute")
    assert refused.code == 2
    assert "--log-target must stand without another --loss" in refused.err


def test_a_ranking_by_shapley_states_how_many_rows_it_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabattn.fitted.costs.MAX_SHAPLEY_STEPS", 0)
    monkeypatch.setattr("tabattn.fitted.costs.MIN_SHAPLEY_ROWS", 10)
    table = tmp_path / "wine.csv"
    pd.read_csv(DATA / "wine.csv").iloc[:, -5:].to_csv(table, index=False)
    done = rank(table, "cultivar", tmp_path / "out", "--method", "shapley", "--max-epochs", "2")
    assert "Which columns drive the target (scores of 10 of the 36 rows)?" in done.out
    assert "The time limit allowed only" not in done.out


def test_words_of_terminal_and_plots_in_korean(tmp_path: Path) -> None:
    table = pd.read_csv(DATA / "diabetes.csv")
    table["bmi"] = table["bmi"].astype(str).where(table.index != 3, "broken")
    table["progression"] = table["progression"].where(table.index > 1)
    table.to_csv(tmp_path / "t.csv", index=False)
    done = rank(tmp_path / "t.csv", "progression", tmp_path / "out", "--lang", "ko")
    assert done.code == 0, done.err
    assert all(line.startswith("tabattn: 경고: ") for line in done.err.splitlines())
    assert "목표값이 비어 있는 행은 학습과 검증에 쓰지 않습니다. (2 row(s) left out" in done.err
    diagnostics = pd.read_csv(tmp_path / "out" / "diagnostics.csv", dtype="str").set_index("code")
    assert {"dropped_rows", "unread_cells"} <= set(diagnostics.index)
    assert diagnostics.loc["unread_cells", "columns"] == "bmi"
    plots = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "out" / "plots").glob("*.svg"))
    assert "검증 점수 감소" in plots
    assert [
        word for word in ("Which", "importance", "attention", "rank", "epoch", "layer") if f">{word}" in plots
    ] == []
    for words in (
        "모델이 예측을 하는가?",
        "어떤 변수가 목표 변수를 좌우하는가?",
        "순열 중요도 (순위)",
        "스피어만",
        "결과 파일:",
    ):
        assert words in done.out
    for words in ("Does the", "Which columns", "rows fitted", "more in", "columns.", " yes ", " no ", "shuffle"):
        assert words not in done.out
    new = run("explain", str(tmp_path / "out" / "model.tabattn"), str(DATA / "diabetes.csv"), "--lang", "ko",
              "--target", "progression", "--out", str(tmp_path / "new"))  # fmt: skip
    assert new.code == 0, new.err
    assert "442행, 변수 10개를 읽었습니다." in new.out
    refused = rank(tmp_path / "t.csv", "progresion", tmp_path / "out", "--lang", "ko")
    assert (refused.code, refused.err.partition("(")[0]) == (2, "tabattn: 목표 변수를 확인하십시오. ")
    assert "학습 때 검증 행" in new.out
    assert "Which" not in new.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--targt", "y"], "Options must be those of the command, got '--targt'. Did you mean '--target'?"),
        (["--target", "y"], "--out must be given, got none."),
        (["--target"], "--target must have a value, got none."),
        (
            ["--target", "y", "--out", "o", "--folds", "zero"],
            "--folds must be a whole number of at least 1, got 'zero'.",
        ),
        (
            ["--target", "y", "--out", "o", "--seed=-1"],
            "--seed must be a whole number of at least 0 and at most 4294967295",
        ),
        (["--target", "y", "--out", "o", "--fdr=a"], "--fdr must be a number, got 'a'."),
        (
            ["--target", "y", "--out", "o", "--loss", "l2"],
            "--loss must be one of squared, squared_log, absolute, poisson",
        ),
        (["--target", "y", "--out", "o", "--quiet=3"], "--quiet must stand alone, got a value."),
        (["y", "--target", "y", "--out", "o"], "The command must have no more than its arguments, got 'y'."),
    ],
)
def test_options_are_refused_in_one_line(arguments: list[str], message: str) -> None:
    done = run("rank", "t.csv", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"tabattn: {message}")
    assert done.err.endswith(" See tabattn rank --help.\n")


@pytest.mark.parametrize("command", ["rank", "explain", "predict", "report", "compare", "text", "datasets"])
def test_help_has_no_types_of_python(command: str) -> None:
    page = run(command, "--help").out
    assert [word for word in ("<bool>", "<int", "<float>", "<path>", "<str>", "list[") if word in page] == []


def test_results_for_programs_and_nothing_for_people(tmp_path: Path) -> None:
    out = tmp_path / "out"
    table = pd.read_csv(DATA / "diabetes.csv")[["bmi", "s5", "progression"]].head(120).assign(gap=None, lot=range(120))
    table.to_csv(tmp_path / "t.csv", index=False)
    done = rank(tmp_path / "t.csv", "progression", out, "--drop", "lot", "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert json.loads(done.out)["columns"][0]["rank"] == 1
    model = str(out / "model.tabattn")
    for command in ("explain", "report"):
        place = tmp_path / command / "page.html" if command == "report" else tmp_path / command
        quiet = run(command, model, str(tmp_path / "t.csv"), "--out", str(place), "--quiet")
        assert quiet == (0, "", "")
    rows = run("predict", model, str(tmp_path / "t.csv"), "--out", str(tmp_path / "p.csv"), "--json", "--quiet")
    assert [row["lot"] for row in json.loads(rows.out)] == list(range(120))
    both = rank(tmp_path / "t.csv", "progression", tmp_path / "both", "--target", "lot", "--json")
    assert [each["target"] for each in json.loads(both.out)] == ["progression", "lot"]


def test_predictions_alone(tmp_path: Path) -> None:
    pd.read_csv(DATA / "wine.csv")[["alcohol", "hue", "cultivar"]].to_csv(tmp_path / "t.csv", index=False)
    model, table = str(tmp_path / "out" / "model.tabattn"), str(tmp_path / "t.csv")
    assert rank(tmp_path / "t.csv", "cultivar", tmp_path / "out").code == 0
    explained = run("explain", model, table, "--out", str(tmp_path / "new"))
    assert explained.code == 0
    done = run("predict", model, table, "--out", str(tmp_path / "p.csv"))
    assert (done.code, done.out) == (0, f"178 rows predicted: {tmp_path / 'p.csv'}\n")
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "new" / "predictions.csv").read_bytes()
    assert run("predict", model, table, "--out", str(tmp_path / "p.parquet")).code == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "p.parquet"), pd.read_csv(tmp_path / "p.csv"))
    refused = run("predict", model, table, "--out", str(tmp_path / "p.doc"))
    assert (refused.code, refused.err) == (2, "tabattn: The file must end in .csv or .parquet, got 'p.doc'.\n")


CONFIG = """
max-epochs = 2
[rank]
table = "t.csv"
target = "y"
repeats = 1
drop = ["dust"]
kind = {line = "categorical"}
group = {both = ["heat", "line"]}
[explain]
additive = true
"""


def test_options_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"heat": rng.normal(size=80), "line": rng.integers(0, 3, 80), "dust": 1, "more": 2})
    table.assign(more=rng.normal(size=80), y=table["heat"]).to_csv("t.csv", index=False)
    Path("c.toml").write_text(CONFIG)
    done = run("rank", "--config", "c.toml", "--out", "out")
    assert done.code == 0, done.err
    assert set(pd.read_csv("out/importance.csv")["feature"]) == {"both", "more"}
    assert "of 2." in done.out
    over = run("rank", "--config", "c.toml", "--out", "over", "--drop", "more", "--group", "both=heat", "--quiet")
    assert over.code == 0, over.err
    assert set(pd.read_csv("over/importance.csv")["feature"]) == {"both", "line", "dust"}, "the command line goes first"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("repeat = 1", "--config must have options of `rank`, got 'repeat' in"),
        ("repeat = 1", "Did you mean 'repeats'?"),
        ("[rnk]\nrepeats = 1", "Did you mean 'rank'?"),
        ("config = 'other.toml'", "--config must have options of `rank`, got 'config'"),
        ("repeats = [1, 2]", "--config must have one value of 'repeats', got [1, 2] in"),
        ("[rank]\nrepeats = 'many'", "repeats"),
        ("repeats = ", "--config must be a TOML file"),
        (b"\xff", "--config must be a readable file"),
        (None, "--config must be a readable file"),
        ("rank = 1", "--config must have a section `rank`, got 1."),
    ],
)
def test_a_file_of_options_that_is_wrong_is_refused(tmp_path: Path, content: str | bytes | None, message: str) -> None:
    path = tmp_path / "c.toml"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = run("rank", "t.csv", "--target", "y", "--out", str(tmp_path / "out"), "--config", str(path))
    assert (done.code, done.out) == (2, "")
    assert message in " ".join(done.err.replace("│", " ").split())


def test_shells_complete_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [str(Path(sys.executable).with_name("tabattn"))]
    environment = {**os.environ, "_TABATTN_COMPLETE": "complete_bash", "COMP_WORDS": "tabattn co", "COMP_CWORD": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["compare"]
