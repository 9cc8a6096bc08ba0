"""A column in a known format is read back: every value equals the one written, or a warning names the column."""

import datetime as dt
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn import TabAttnClassifier
from tabattn.errors import (
    AmbiguousDatesWarning,
    AmbiguousNumbersWarning,
    CensoredCellsWarning,
    ColumnError,
    DroppedRowsWarning,
    OtherFormatWarning,
    ParameterError,
    ReadingNote,
    TabAttnWarning,
    TwinLevelsWarning,
    UnreadNumbersWarning,
)
from tabattn.table.cells import MISSING_WORDS, is_missing
from tabattn.table.columns import Levels, Numbers, Times
from tabattn.table.inference import infer_table
from tabattn.table.problem import split_target
from tabattn.table.rules import CellRules
from tabattn.table.schema import TableSchema, TypedTable

DAY = dt.timedelta(days=1)


def read(cells: list[Any], kinds: dict[str, str] | None = None, rules: CellRules | None = None) -> TypedTable:
    return infer_table(pd.DataFrame({"x": pd.Series(cells, dtype=object)}), kinds, rules=rules)


def only(table: TypedTable) -> Any:
    return table.cells[0]


def named(table: TypedTable, kind: type[TabAttnWarning]) -> list[str]:
    return [str(warning) for warning in table.warnings if type(warning) is kind]


def thousands(number: float, mark: str, decimal: str) -> str:
    whole, _, part = f"{abs(number):,.2f}".partition(".")
    return ("-" if number < 0 else "") + whole.replace(",", mark) + decimal + part


NUMBERS: dict[str, Callable[[float], str]] = {
    "plain": lambda x: f"{x:.3f}",
    "exponents": lambda x: f"{x:.5e}",
    "decimal comma": lambda x: f"{x:.2f}".replace(".", ","),
    "thousands": lambda x: thousands(x, ",", "."),
    "thousands with points": lambda x: thousands(x, ".", ","),
    "thousands with blanks": lambda x: thousands(x, "\u202f", ","),
    "apostrophes": lambda x: thousands(x, "'", "."),
    "dollars": lambda x: ("-" if x < 0 else "") + f"${abs(x):,.2f}",
    "won": lambda x: f"₩{x:,.2f}",
    "euros behind": lambda x: thousands(x, ".", ",") + " €",
    "kilograms": lambda x: f"{x:.3f} kg",
    "degrees": lambda x: f"{x:.2f}℃",
    "per cent": lambda x: f"{x:.2f} %",
    "rate": lambda x: f"{x:.2f} m3/h",
    "parentheses": lambda x: f"({abs(x):,.2f})" if x < 0 else f"{x:,.2f}",
    "trailing minus": lambda x: f"{abs(x):.2f}-" if x < 0 else f"{x:.2f}",
    "full width": lambda x: f"{x:.2f}".translate({ord(a): ord(a) + 0xFEE0 for a in "0123456789.-"}),
    "uncertain": lambda x: f"{x:.2f} ± 0.05",
}


@settings(max_examples=150, deadline=None)
@given(
    how=st.sampled_from(list(NUMBERS)),
    numbers=st.lists(
        st.floats(-9_999_999, 9_999_999).map(lambda x: round(x, 2)).filter(lambda x: x == 0 or abs(x) >= 0.01),
        min_size=30,
        max_size=60,
        unique=True,
    ),
    missing=st.sampled_from(sorted(MISSING_WORDS)),
    is_missing_every=st.integers(3, 40),
    is_limit_every=st.integers(5, 80),
    seed=st.integers(0, 99),
)
def test_numbers_of_any_format_are_read_back(
    how: str, numbers: list[float], missing: str, is_missing_every: int, is_limit_every: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    write = NUMBERS[how]
    has_limits = how not in {"parentheses", "uncertain"}
    cells = [
        missing if i % is_missing_every == 0 else "<" * (has_limits and i % is_limit_every == 1) + write(number)
        for i, number in enumerate(numbers)
    ]
    wanted = [np.nan if i % is_missing_every == 0 else number for i, number in enumerate(numbers)]
    order = rng.permutation(len(cells))
    table = read([cells[i] for i in order])
    assert isinstance(only(table), Numbers), (how, cells)
    found = only(table).values + table.schema.columns[0].offset
    n_digits = 5 if how == "exponents" else 12
    if not any("'x'" in warning for warning in named(table, TabAttnWarning)):
        np.testing.assert_allclose(found, np.array(wanted)[order], rtol=10.0**-n_digits, atol=1e-9)
    n_limits = sum(cell.startswith("<") and cell not in MISSING_WORDS for cell in cells)
    assert bool(named(table, CensoredCellsWarning)) == (n_limits > 0)


DATES: dict[str, str] = {
    "iso": "%Y-%m-%d %H:%M",
    "iso with T and zone": "%Y-%m-%dT%H:%M:00Z",
    "slashes": "%Y/%m/%d %H:%M",
    "day first": "%d/%m/%Y %H:%M",
    "month first": "%m/%d/%Y %I:%M %p",
    "points": "%d.%m.%Y %H:%M",
    "short": "%d.%m.%y %H:%M",
    "korean": "%Y년 %m월 %d일 %H시 %M분",
    "korean with colons": "%Y년 %m월 %d일 %H:%M",
    "japanese": "%Y年%m月%d日%H時%M分",
    "korean points": "%Y. %m. %d. %H:%M",
    "compact": "%Y%m%d%H%M",
    "compact iso": "%Y%m%dT%H%M",
    "names of months": "%d-%b-%Y %H:%M",
    "american": "%b %d, %Y %H:%M",
    "colon": "%Y-%m-%d:%H:%M",
    "mixed": "%Y-%m-%d %H:%M|%d.%m.%Y %H:%M|%Y년 %m월 %d일 %H시 %M분",
}


@settings(max_examples=150, deadline=None)
@given(
    how=st.sampled_from(list(DATES)),
    start=st.datetimes(dt.datetime(1975, 1, 1), dt.datetime(2060, 1, 1)),
    minutes=st.integers(1, 5000),
    n=st.integers(20, 80),
    seed=st.integers(0, 99),
    is_sorted=st.booleans(),
)
def test_dates_of_any_format_are_read_back(
    how: str, start: dt.datetime, minutes: int, n: int, seed: int, is_sorted: bool
) -> None:
    rng = np.random.default_rng(seed)
    start = start.replace(second=0, microsecond=0)
    times = [start + i * dt.timedelta(minutes=minutes) for i in range(n)]
    times = times if is_sorted else [times[i] for i in rng.permutation(n)]
    formats = DATES[how].split("|")
    table = read([time.strftime(formats[rng.integers(len(formats))]) for time in times])
    assert isinstance(only(table), Times), how
    if not named(table, AmbiguousDatesWarning):
        assert only(table).values.tolist() == [pd.Timestamp(time) for time in times]


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["2023-03-01 06:00", "2023-03-01 24:00"], "2023-03-01 06:00"),
        (["2021-05-15:01", "2021-05-15:24"], "2021-05-15 01:00"),
        (["15-MAY-21", "16-MAY-21"], "2021-05-15"),
        ([2023030101, 2023030102, 2023030124], "2023-03-01 01:00"),
        (["202303010130", "202303010140", "202303012400"], "2023-03-01 01:30"),
        (["20230301 01:00", "20230301 02:00"], "2023-03-01 01:00"),
        (["2021년 5월 15일 오후 1시", "2021년 5월 16일 오전 12시"], "2021-05-15 13:00"),
        (["2021年5月15日 午後3時5分", "2021年5月16日 午前3時5分"], "2021-05-15 15:05"),
        (["1. Mai 2024", "3. Dezember 2024"], "2024-05-01"),
        (["Mon, 6 May 2024 10:00:00 GMT", "Tue, 7 May 2024 10:00:00 +0900"], "2024-05-06 10:00"),
        (["2024-05-06 (월) 10:00", "2024-05-07 (화) 10:00"], "2024-05-06 10:00"),
    ],
)
def test_times_as_people_and_machines_write_them(cells: list[Any], first: str) -> None:
    table = read(cells)
    assert isinstance(only(table), Times)
    assert only(table).values[0] == pd.Timestamp(first)
    assert only(table).values.is_monotonic_increasing


def test_midnight_at_the_end_of_a_day_is_the_next_day() -> None:
    assert only(read(["2023-12-31 23:00", "2023-12-31 24:00"])).values[1] == pd.Timestamp(2024, 1, 1)
    assert only(read([f"{hour:02}:00" for hour in range(1, 25)])).values.tolist() == [3600.0 * h for h in range(1, 25)]


def test_numbers_of_ten_digits_that_are_no_times_stay_numbers() -> None:
    for cells in ([1709596800 + i for i in range(30)], [2099999999 - 7 * i for i in range(30)], [2023130101] * 9):
        assert isinstance(only(read(cells)), Numbers)


def test_of_two_orders_the_one_in_which_rows_follow_each_other_is_taken() -> None:
    hours = [dt.datetime(2023, 3, 1) + i * dt.timedelta(hours=1) for i in range(200)]
    for how in ("%d-%m-%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"):
        table = read([time.strftime(how) for time in hours])
        assert only(table).values.tolist() == [pd.Timestamp(time) for time in hours], how
        assert not named(table, AmbiguousDatesWarning)
    shuffled = np.random.default_rng(0).permutation(200)
    (said,) = named(read([hours[i].strftime("%d/%m/%Y") for i in shuffled]), AmbiguousDatesWarning)
    assert "'x' holds dates such as" in said
    assert "no cell decides" in said


def test_text_beside_dates_of_excel() -> None:
    days = [dt.datetime(2024, 1, 1) + i * DAY for i in range(60)]
    table = read([day.strftime("%d/%m/%Y") if i % 3 == 0 else day for i, day in enumerate(days)])
    assert only(table).values.tolist() == [pd.Timestamp(day) for day in days]
    clocks = [dt.time(i) if i < 24 else dt.date(1900, 1, 1) for i in range(1, 25)]
    assert only(read(clocks)).values.tolist() == [3600.0 * i for i in range(1, 25)]
    with pytest.raises(ColumnError, match="times beside cells such as 'lot"):
        read([*days[:10], *(f"lot {i}" for i in range(30))])


def test_new_rows_in_another_order_are_read_by_it_or_refused() -> None:
    days = [dt.datetime(2024, 1, 1) + i * DAY for i in range(60)]
    schema = read([f"{day:%d/%m/%Y}" for day in days]).schema

    def new(cells: list[str]) -> TypedTable:
        return schema.read(pd.DataFrame({"x": pd.Series(cells, dtype=object)}))

    table = new([f"{day:%m/%d/%Y}" for day in days])
    assert only(table).values.tolist() == [pd.Timestamp(day) for day in days]
    assert "all are read as month, day, year" in named(table, OtherFormatWarning)[0]
    with pytest.raises(ColumnError, match="in one order of day and month"):
        new([f"{day:%m/%d/%Y}" for day in days[:30]] + [f"{day:%d/%m/%Y}" for day in days])
    assert only(new([f"{day:%Y-%m-%d}" for day in days])).values[59] == pd.Timestamp(days[59])


@pytest.mark.parametrize(
    ("cells", "unit"),
    [
        (["$9,929.44", "$1", "-$5"], "$"),
        (["₩12,908,272", "₩500"], "₩"),
        (["12 kg", "1,5 kg", "3 kg"], "kg"),
        (["9929mg", "12mg"], "mg"),
        (["±0.79", "±1.5"], "±"),
        (["12.5 kgf/cm²", "9 kgf/cm²"], "kgf/cm²"),
        (["3만원", "12만원"], "만원"),
        (["USD 12", "USD 1,200"], "USD"),
    ],
)
def test_one_unit_is_taken_off_and_said(cells: list[str], unit: str) -> None:
    table = read(cells)
    assert isinstance(only(table), Numbers)
    (said,) = named(table, ReadingNote)
    assert f"'x' ({unit})" in said


def test_what_looks_like_numbers_and_is_not_read_says_why() -> None:
    grams = [f"{i} {'kg' if i % 2 else 'g'}" for i in range(30)]
    assert "they are of two units, 'g' and 'kg'" in named(read(grams), UnreadNumbersWarning)[0]
    words = [str(i) if i % 3 else f"error {i}" for i in range(60)]
    assert "too many cells are none, such as 'error 0'" in named(read(words), UnreadNumbersWarning)[0]
    with_kind = read(words, {"x": "numeric"})
    assert np.isnan(only(with_kind).values).sum() == 20
    odd = [f"{i} foo" for i in range(30)]
    assert "'foo' stands beside them" in named(read(odd), UnreadNumbersWarning)[0]
    assert only(read(odd, {"x": "numeric"})).values.tolist() == list(range(30))


@pytest.mark.parametrize(
    "cells",
    [
        ["A12", "B7", "C3"] * 10,
        ["1호기", "2호기", "3호기"] * 10,
        ["1.2.3", "1.2.4", "2.0.0"] * 10,
        ["192.168.0.1", "10.0.0.7"] * 10,
        [">50K", "<=50K"] * 10,
        ["10-20", "20-30", "30-40"] * 10,
        ["S", "M", "L"] * 10,
        ["007", "012", "123"] * 10,
        ["3M", "HP", "LG"] * 10,
        ["12:3", "2:1", "0:0"] * 10,
        ["010-1234-5678", "010-8765-4321"] * 10,
        ["1-", "1", "1+", "2-"] * 10,
        ["(1)", "(2)", "(3)"] * 10,
        ["RM101", "RM102"] * 10,
        ["000A", "001A", "002A"] * 10,
        ["192.168.199.109", "192.168.199.110"] * 10,
        ["20240115-1", "20240115-2", "20240115-3"] * 10,
        ["2024-01-0012", "2024-01-0013"] * 10,
        ["2009/10", "2010/11", "2011/12"] * 10,
        [f"Jan-{i:02}" for i in range(1, 32)],
        ["4933-05-04", "4934-05-04"] * 10,
        ["1", "2", "3", "5", "U"] * 10,
        ["1.0.0", "1.1.0", "1.2.0", "2.0.0"] * 10,
    ],
)
def test_what_is_no_number_and_no_date_stays_a_category_without_a_word(cells: list[str]) -> None:
    table = read(cells)
    assert isinstance(only(table), Levels), cells
    assert table.warnings == ()


def test_limits_are_values_or_missing_and_counted() -> None:
    cells = ["<0.03", "0.2", "0.15", ">100", "≤5", "0.4", "<0.03", "7"]
    table = read(cells)
    assert only(table).values.tolist() == [0.03, 0.2, 0.15, 100, 5, 0.4, 0.03, 7]
    assert "4 cell(s) beyond a limit, such as '<0.03': the limit is the value" in named(table, CensoredCellsWarning)[0]
    table = read(cells, rules=CellRules(censored="missing"))
    assert np.isnan(only(table).values).sum() == 4
    assert "they count as missing" in named(table, CensoredCellsWarning)[0]


def test_decimals_beside_integers_are_numbers() -> None:
    assert only(read([Decimal("1.5"), 0, 2.5, np.float64(3)])).values.tolist() == [1.5, 0, 2.5, 3]


def test_blanks_at_the_ends_make_no_level_and_twins_are_named() -> None:
    table = read([">50K", ">50K ", " >50K", "<=50K", "<=50K."] * 4)
    assert table.schema.columns[0].categories == ("<=50K", "<=50K.", ">50K")
    assert "'<=50K' and '<=50K.'" in named(table, TwinLevelsWarning)[0]
    wide = "Ａ"
    assert f"'A' and 'a' and '{wide}'" in named(read(["A", "a", wide, "B"] * 5), TwinLevelsWarning)[0]


@pytest.mark.parametrize(
    "word", ["측정불가", "판정불가", "불검출", "미측정", "ND", "n.d.", "#DIV/0!", "해당없음", "無", "Nd ", "－"]
)
def test_words_for_a_missing_value(word: str) -> None:
    assert is_missing(pd.Series(["A", word])).tolist() == [False, True]
    assert np.isnan(only(read(["1.5", word, "2"])).values).tolist() == [False, True, False]


def test_the_user_says_what_is_missing() -> None:
    rules = CellRules.of({"x": [-999, "bad"]}, keep_na=False, censored="limit")
    assert np.isnan(only(read([1, -999, 2.5], rules=rules)).values).tolist() == [False, True, False]
    assert np.isnan(only(read(["1", " bad", "2"], rules=rules)).values).tolist() == [False, True, False]
    table = read(["None", "A", "bad", " ", "-", None] * 3, rules=CellRules.of(["bad"], keep_na=True, censored="limit"))
    assert table.schema.columns[0].categories == ("-", "A", "None")
    assert only(table).missing.tolist()[:6] == [False, False, True, True, False, True]
    again = TableSchema.from_settings(table.schema.settings, table.schema.rule_settings)
    assert again == table.schema
    for wrong in ({"na_values": "bad"}, {"keep_na": "yes"}, {"censored": "no"}):
        given: dict[str, Any] = {"na_values": None, "keep_na": False, "censored": "limit"} | wrong
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            CellRules.of(**given)


def test_a_class_that_is_called_none_is_missing_or_kept() -> None:
    frame = pd.DataFrame({"a": range(60), "y": ["None", "Apnea", "Insomnia"] * 20})
    with pytest.warns(DroppedRowsWarning, match=r"20 row\(s\) left out.*20 of them hold 'None'.*--keep-na"):
        assert len(split_target(frame, "y").y) == 40
    assert split_target(frame, "y", rules=CellRules(keep_na=True)).y.nunique() == 3
    numbers = frame.assign(y=[str(i) if i % 5 else "-" for i in range(60)])
    with pytest.warns(DroppedRowsWarning, match=r"12 row.* is missing; 48 remain\.$"):
        assert len(split_target(numbers, "y", rules=CellRules(keep_na=True)).y) == 48


def test_limits_in_a_target_are_values_or_left_out() -> None:
    frame = pd.DataFrame({"a": range(60), "y": [f"<{i}.5" if i % 6 == 0 else f"{i}.5" for i in range(60)]})
    with pytest.warns(CensoredCellsWarning, match="10 cell"):
        assert split_target(frame, "y").y.tolist() == [i + 0.5 for i in range(60)]
    with pytest.warns(DroppedRowsWarning, match="10 row"):
        assert len(split_target(frame, "y", rules=CellRules(censored="missing")).y) == 50


def test_codes_that_lost_their_zeros_are_the_same_levels() -> None:
    schema = read(["007", "012", "107"] * 10).schema
    for cells in ([7, 12, 107], ["7", "12", "107"], [7.0, 12.0, 107.0]):
        found = only(schema.read(pd.DataFrame({"x": cells})))
        assert [found.names[i] for i in found.positions] == ["007", "012", "107"]


def test_classes_of_an_estimator_have_no_blanks_at_their_ends() -> None:
    X = pd.DataFrame({"a": np.arange(40.0)})
    y = np.array(["low", "low ", "high", " high"] * 10, dtype=object)
    est = TabAttnClassifier(max_epochs=1, n_members=1, d_token=8, n_layers=1, random_state=0).fit(X, y)
    assert est.classes_.tolist() == ["high", "low"]
    assert est.score(X, y) == est.score(X, np.char.strip(y.astype(str)))


@pytest.mark.parametrize(
    "cell", ["0" * 20_000, "1," * 10_000, " " * 20_000 + "x", "a" * 20_000, "(" * 20_000, "1 " * 9_000]
)
def test_long_cells_take_no_longer_than_their_length(cell: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(read([cell + str(i) for i in range(30)])) == 30


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["12,-", "5,50", "25,-"], [12, 5.5, 25]),
        (["'38.5", "'7.25"], [38.5, 7.25]),
        (["$(4.00)", "$1.50"], [-4, 1.5]),
        (["5 이하", "7", "9", "3 미만", "8"], [5, 7, 9, 3, 8]),
        (["15℃", "16 °C", "17 ℃"], [15, 16, 17]),
        (["1 year", "2 years", "5 years"], [1, 2, 5]),
        (["5.1 mg/L ± 0.2 mg/L", "6 mg/L ± 0.2 mg/L"], [5.1, 6]),
    ],
)
def test_numbers_with_something_around_them(cells: list[str], numbers: list[float]) -> None:
    assert only(read(cells)).values.tolist() == numbers


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (["3시간 10분", "1h30m"], [11400, 5400]),
        (["8 AM", "오후 3:10"], [28800, 54600]),
        ([dt.time(8, 30), dt.datetime(1899, 12, 30, 9, 30)], [30600, 34200]),
    ],
)
def test_durations_in_words_and_of_sheets(cells: list[Any], seconds: list[float]) -> None:
    assert only(read(cells)).values.tolist() == seconds


def test_what_may_be_read_in_two_ways_is_said() -> None:
    crossing = [*pd.date_range("2024-12-01", periods=12), *pd.date_range("2025-01-01", periods=12)]
    assert named(read([f"{day:%d/%m/%Y}" for day in crossing]), AmbiguousDatesWarning)
    births = [f"{day:%d/%m/%y}" for day in pd.date_range("1940-01-01", periods=300, freq="75D")]
    assert "two digits" in named(read(births), AmbiguousDatesWarning)[0]
    days = pd.date_range("2024-01-01", periods=60)
    swapped = [f"{d:%d/%m/%Y}" if d.day > 12 else pd.Timestamp(d.year, d.day, d.month) for d in days]
    assert "swapped" in named(read(swapped), AmbiguousDatesWarning)[0]
    assert "time zone" in named(read(["2024-01-01 00:00+09:00", "2024-01-01 01:00"] * 5), OtherFormatWarning)[0]
    (said,) = named(read(["15%", 0.15, "20%"]), AmbiguousNumbersWarning)
    assert "1 without it, such as '0.15'" in said
    fitted = read(["15 %", "20 %"]).schema
    assert named(fitted.read(pd.DataFrame({"x": [0.15, 0.2]})), AmbiguousNumbersWarning)
    clock = read(["08:30", "09:30"]).schema.read(pd.DataFrame({"x": [0.5, 0.25]}))
    assert only(clock).values.tolist() == [43200, 21600]
    assert named(clock, OtherFormatWarning)
