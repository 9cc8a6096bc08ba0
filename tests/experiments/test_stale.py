from pathlib import Path

import pytest

from experiments import stale
from experiments.machine import CODE, COMMIT
from experiments.result_file import same_codes
from experiments.stale import Staleness, staleness
from tests.experiments.helpers import OTHER_CODE


def test_rows_are_counted_by_their_code(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    rows = [f"1,aaaaaa1,{CODE}", f"2,bbbbbb2+,{OTHER_CODE}", "3,cccccc3,", "4,,", f"5,unknown,{CODE}"]
    head = "# python -m some --n 1000000; machine; ddddddd4e with eeeeee5"
    path.write_text("\n".join([head, "value,commit,code", *rows, ""]), encoding="utf-8")
    known = {"aaaaaa1", "cccccc3", "eeeeee5"}
    expected = Staleness("some.csv", present=2, other=1, unknown=2, lost_commits=("bbbbbb2", "ddddddd4e", "unknown"))
    assert staleness(path, known.__contains__) == expected


def test_code_of_the_same_results_is_not_another(tmp_path: Path) -> None:
    path = tmp_path / "same_results.csv"
    assert same_codes(path) == {CODE}
    for is_same, expected in ((True, {CODE, OTHER_CODE}), (False, {CODE})):
        rows = [f"a,True,0.0,{OTHER_CODE},c,{CODE}", f"b,{is_same},0.0,{OTHER_CODE},c,{CODE}", ""]
        path.write_text("\n".join(["what,is_same,largest_change,base_code,commit,code", *rows]), encoding="utf-8")
        assert same_codes(path) == expected
    path.write_text(path.read_text().replace("False", "True").replace(CODE, "000000000000"), encoding="utf-8")
    assert same_codes(path) == {CODE}


def test_code_of_the_same_results_may_be_reached_by_way_of_other_code(tmp_path: Path) -> None:
    path, first, other = tmp_path / "same_results.csv", "111111111111", "222222222222"
    head = "what,is_same,largest_change,base_code,commit,code"
    pairs = [(first, OTHER_CODE), (OTHER_CODE, CODE), (other, first)]
    for is_same, expected in ((True, {CODE, OTHER_CODE, first, other}), (False, {CODE, OTHER_CODE})):
        rows = [f"a,{is_same or base == OTHER_CODE},0.0,{base},c,{code}" for base, code in pairs]
        path.write_text("\n".join([head, *rows, ""]), encoding="utf-8")
        assert same_codes(path) == expected


def test_results_without_hashes_are_of_unknown_code(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("value\n1\n2\n", encoding="utf-8")
    assert staleness(path) == Staleness("some.csv", present=0, other=0, unknown=2, lost_commits=())


@pytest.mark.skipif(COMMIT == "unknown", reason="no git checkout")
def test_the_history_is_asked_for_commits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit = COMMIT.rstrip("+")
    path = tmp_path / "some.csv"
    path.write_text(f"value,commit,code\n1,{commit},{CODE}\n1,{'0' * 39}1,{CODE}\n", encoding="utf-8")
    assert staleness(path).lost_commits == ("0" * 39 + "1",)
    stale.main([str(path)])
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("some.csv")]
    assert line.split() == ["some.csv", "2", "0", "0", "0" * 39 + "1"]
