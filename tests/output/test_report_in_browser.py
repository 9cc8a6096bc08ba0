"""Reports in headless Chromium: sorting, finding, pages, choices, print, dark; nothing is asked of a network."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.common import exceptions
from selenium.webdriver.support import wait

from experiments.browser import CHROMIUM, DRIVER, headless_chromium
from tabattn.choices import Language
from tabattn.output.report.html import render_html
from tests.output.reports import report_with

NAMES = ["line speed", "</script><script>document.title='run'</script>", "온도", "\u202eabc", "مرحبا", "x" * 300]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="needs Debian's packages chromium and chromium-driver: make browser",
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = headless_chromium(tmp_path_factory.mktemp("chromium"), with_logs=True)
    driver.set_window_size(1200, 900)
    yield driver
    driver.quit()


def opened(browser: Any, folder: Path, names: list[str], language: Language = "en", hash_: str = "") -> Any:
    """Open a report of columns with these names."""
    path = folder / "report.html"
    path.write_text(render_html(report_with(names, language)), encoding="utf-8")
    browser.get("about:blank")
    browser.get(path.as_uri() + hash_)
    return browser


def texts(browser: Any, selector: str) -> list[str]:
    shown = f"[...document.querySelectorAll({selector!r})].filter(e => !e.closest('[hidden]'))"
    found: list[str] = browser.execute_script(f"return {shown}.map(e => e.textContent)")
    return found


def comes_to(browser: Any, selector: str, expected: list[str]) -> None:
    """Wait until these texts are shown: what an action leads to comes after it, on a busy machine seconds after."""
    try:
        wait.WebDriverWait(browser, 20).until(lambda _: texts(browser, selector) == expected)
    except exceptions.TimeoutException:
        assert texts(browser, selector) == expected


def click(browser: Any, selector: str) -> None:
    browser.find_element("css selector", selector).click()


def scrolled(browser: Any) -> None:
    """Bring everything into view once, so that all pictures are drawn."""
    browser.set_window_size(1200, 6000)
    browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 300))")


def test_nothing_is_asked_of_a_network_and_nothing_fails(browser: Any, tmp_path: Path) -> None:
    browser.get_log("performance")
    browser.get_log("browser")
    opened(browser, tmp_path, NAMES, hash_="#column-2")
    scrolled(browser)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    asked = [each["request"]["url"] for each in requests if each["documentURL"].startswith("file")]
    assert asked == [(tmp_path / "report.html").as_uri()]
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.title") == f"about {NAMES[0]}"


def test_names_stay_text(browser: Any, tmp_path: Path) -> None:
    for place, name in enumerate(NAMES, start=1):
        opened(browser, tmp_path, NAMES, hash_=f"#column-{place}")
        scrolled(browser)
        comes_to(browser, "#detail-title bdi", [name])
    assert len(browser.execute_script("return [...document.scripts]")) == 3
    assert browser.execute_script("return document.title") == f"about {NAMES[0]}"


def test_columns_are_sorted_and_found(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, ["beta", "alpha", "Gamma"])
    comes_to(browser, "#ranking tbody a", ["beta", "alpha", "Gamma"])
    click(browser, "#ranking th:nth-child(2) button")
    comes_to(browser, "#ranking tbody a", ["alpha", "beta", "Gamma"])
    assert browser.find_element("css selector", "#ranking th:nth-child(2)").get_attribute("aria-sort") == "ascending"
    click(browser, "#ranking th:nth-child(2) button")
    comes_to(browser, "#ranking tbody a", ["Gamma", "beta", "alpha"])
    click(browser, "#ranking th:nth-child(10) button")
    comes_to(browser, "#ranking tbody a", ["Gamma", "alpha", "beta"])
    browser.find_element("id", "find").send_keys("AL")
    comes_to(browser, "#ranking tbody a", ["alpha"])
    comes_to(browser, "#shown", ["1 of 3 columns shown"])
    browser.find_element("id", "find").send_keys("\ue003\ue003")
    click(browser, "#selected-only")
    assert sorted(texts(browser, "#ranking tbody a")) == ["alpha", "beta"]


def test_pages_of_columns_are_reached_by_keyboard(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, ["beta", "alpha", "gamma"])
    comes_to(browser, "#detail *", [])
    browser.find_element("css selector", "#ranking tbody a").send_keys("\ue007")
    comes_to(browser, "#detail-title", ["1. beta [℃]"])
    assert browser.execute_script("return document.activeElement.id") == "detail"
    click(browser, "#detail nav button:nth-of-type(2)")
    comes_to(browser, "#detail-title", ["2. alpha"])
    expected = ["Effect on the prediction", "Distribution", "Attention by layer and head", "Attention over epochs"]
    comes_to(browser, "#detail figcaption", [*expected, "Rows where it mattered most"])
    assert "null" not in texts(browser, "#detail")[0]
    click(browser, "#detail nav button:nth-of-type(3)")
    comes_to(browser, "#detail *", [])


def test_attention_is_shown_of_a_layer_a_head_a_member_and_a_row(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, [f"column {number}" for number in range(60)])
    scrolled(browser)
    rows = "#pictures section:nth-of-type(2) svg > text[text-anchor='end']"
    comes_to(browser, rows, [f"layer {layer}, head {head}" for layer in (1, 2, 3) for head in (1, 2)])
    assert texts(browser, "#pictures section:nth-of-type(2) svg > text:not([text-anchor])")[-1].startswith(
        "others (20)"
    )
    cells = "#pictures section:nth-of-type(2) svg > rect > title"
    before = texts(browser, cells)
    selects = browser.find_elements("css selector", "#pictures section:nth-of-type(2) select")
    assert len(selects) == 4
    for select, value in ((selects[0], "7"), (selects[1], "1"), (selects[2], "0")):
        browser.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))", select, value
        )
    comes_to(browser, rows, ["layer 2, head 1"])
    attention = report_with([f"column {number}" for number in range(60)]).attention
    assert attention is not None
    found = {each.split(",")[0]: float(each.split(": ")[1]) for each in texts(browser, cells)}
    assert found["column 3"] == pytest.approx(attention.by_head.array[7, 1, 0, 3], abs=0.005)
    assert texts(browser, cells) != before[: len(texts(browser, cells))]
    browser.execute_script("arguments[0].value = 4; arguments[0].dispatchEvent(new Event('change'))", selects[3])
    comes_to(browser, rows, ["row 4", "mean over held-out rows"])


def test_it_prints_and_goes_dark(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, ["beta", "alpha"], "ko")
    color = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(color)
    click(browser, "#theme")
    dark = browser.execute_script(color)
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(20, 24, 29)")
    comes_to(browser, "#theme", ["밝게"])
    printed = browser.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert len(printed) > 20_000


@pytest.mark.parametrize("n_columns", [500, 2000])
def test_wide_reports_are_shown_whole(browser: Any, tmp_path: Path, n_columns: int) -> None:
    opened(browser, tmp_path, [f"column {number}" for number in range(n_columns)])
    comes_to(browser, "#shown", [f"{n_columns} of {n_columns} columns shown"])
    assert len(texts(browser, "#ranking tbody tr")) == n_columns
    assert browser.get_log("browser") == []
