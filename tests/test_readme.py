import re
from pathlib import Path

import pytest

from tests.conftest import DATA

README = (DATA.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_of_the_readme_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = block.replace('"data/', f'"{DATA.as_posix()}/')
    exec(compile(code, "README.md", "exec"), {})


def test_there_are_blocks_and_commands() -> None:
    assert len(BLOCKS) == 3
    assert README.index("make demo") < README.index("make test") < README.index("## ")
