"""README and the documentation: every block runs, every link leads somewhere, every option exists."""

import re
from pathlib import Path

import pytest

from tests.conftest import DATA, run

ROOT = DATA.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]
README = PAGES[0].read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = block.replace('"data/', f'"{DATA.as_posix()}/')
    exec(compile(code, "block", "exec"), {})


def test_there_are_blocks_and_commands() -> None:
    assert len(BLOCKS) == 5
    assert README.index("make demo") < README.index("make test") < README.index("## ")
    assert len(README.split()) < 1_000, "it is read in three minutes"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_options_that_they_are_shown_with(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for command in ("rank", "explain", "predict", "report", "compare", "text", "datasets"):
        known = set(re.findall(r"--[a-z][a-z-]*", run(command, "--help").out))
        for line in re.findall(rf"^    (?:\.venv/bin/)?tabattn {command} (.*)$", text, re.MULTILINE):
            assert set(re.findall(r"(?<!\S)--[a-z][a-z-]*", line.split(" #")[0])) <= known, line


@pytest.mark.slow
def test_the_file_of_options_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "line7.toml").write_text(block, encoding="utf-8")
    (tmp_path / "data").mkdir()
    lines = (DATA / "process.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "data" / "process.csv").write_text("".join(lines[:200]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    short = ("--max-epochs", "1", "--repeats", "1")
    done = run("rank", "--config", str(tmp_path / "line7.toml"), "--out", str(tmp_path / "today"), *short)
    assert done.code == 0, done.err
    importance = (tmp_path / "today" / "importance.csv").read_text(encoding="utf-8")
    assert "oven,group" in importance
    assert "batch_mass_kg" not in importance


def test_every_page_is_in_the_site() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs").with_suffix("").as_posix() for page in PAGES[1:]]
    assert [page for page in pages if page != "index" and not re.search(rf"^{page}$", index, re.MULTILINE)] == []
