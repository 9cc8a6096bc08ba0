import re
from pathlib import Path

from tabattn.diagnostics.doubts import DOUBTS
from tabattn.diagnostics.findings import DOCS, Finding, findings_table

ROOT = Path(__file__).parents[2]


def test_every_code_has_its_place_in_the_documentation_and_in_its_table() -> None:
    rooms = (ROOT / "tabattn" / "diagnostics").glob("*.py")
    codes = {code for room in rooms for code in re.findall(r'Finding\(\s*"(\w+)"', room.read_text(encoding="utf-8"))}
    codes |= {category.code for category in DOUBTS}
    headings = re.findall(r"^## (\w+)$", (ROOT / DOCS).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(codes) >= 28
    assert sorted(headings) == sorted(codes)
    table_of_codes = (ROOT / DOCS).read_text(encoding="utf-8").split("\n## ", 1)[0]
    assert [code for code in codes if f"`{code}`" not in table_of_codes] == []
    table = findings_table([Finding(code, "", "") for code in codes])
    assert {place.partition("#")[2] for place in table["docs"]} == codes
