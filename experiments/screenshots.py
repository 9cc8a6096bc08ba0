"""The pictures of docs/images: reports of four tables as headless Chromium shows them.

    python -m experiments.screenshots --data DIR --out docs/images

data/process.csv (and the page of one of its columns, dark), house_prices_kaggle and madelon of DIR, and a Korean plant
table: the rolls of data/process.csv under Korean names with units, ranked with `--lang ko`. All with the defaults.
Pictures have 64 colours. A picture that is there is not made again.
"""

import argparse
import io
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from experiments.browser import headless_chromium
from experiments.tables import add_data_argument, load_catalog
from tabattn import rank
from tabattn.choices import Language
from tabattn.ranking_results import Ranking

DATA = Path(__file__).parent.parent / "data"
WIDTH, HEIGHT, N_COLORS = 1150, 830, 64
KOREAN_NAMES: Mapping[str, str] = {
    "line_speed_m_min": "라인속도", "oven_temperature_c": "오븐온도", "oven_temperature_backup_c": "오븐온도_예비",
    "pump_pressure_bar": "펌프압력", "viscosity_mpas": "점도", "resin_supplier": "수지공급사", "nozzle_age_h": "노즐사용시간",
    "exhaust_flow_m3_h": "배기유량", "pump_current_a": "펌프전류", "resin_temperature_c": "수지온도",
    "ambient_temperature_c": "실내온도", "ambient_humidity_pct": "실내습도", "oven_humidity_pct": "오븐습도",
    "batch_mass_kg": "배치중량", "vibration_mm_s": "진동", "roller_gap_um": "롤러간격", "shift": "근무조",
    "web_tension_n": "장력", "cleaned_before_run": "세척여부", "operator": "작업자", "thickness_um": "두께",
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One picture.

    Args:
        name: Of its file, without its suffix.
        ranked: Makes the ranking.
        language: Of the report.
        place: What stands behind the address of the page: "#column-3" for a column.
        is_dark: Whether it is dark.
        target: What is scrolled to: the id of an element; empty for the top.
    """

    name: str
    ranked: Callable[[], Ranking]
    language: Language = "en"
    place: str = ""
    is_dark: bool = False
    target: str = ""


def process() -> Ranking:
    """Rank the simulated coating line."""
    return rank(DATA / "process.csv", "thickness_um")


def plant() -> Ranking:
    """Rank the same under Korean names."""
    table = pd.read_csv(DATA / "process.csv").rename(columns=KOREAN_NAMES)
    table.attrs["units"] = {"라인속도": "m/min", "오븐온도": "℃", "펌프압력": "bar", "점도": "mPa·s", "두께": "µm"}
    return rank(table, "두께")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--out", type=Path, default=DATA.parent / "docs" / "images")
    options = parser.parse_args(arguments)
    catalog = load_catalog(options.data)

    def of_catalog(name: str) -> Callable[[], Ranking]:
        return lambda: rank(catalog[name].path, catalog[name].target)

    pictures = (
        Picture("report", process),
        Picture("report_of_a_column", process, place="#column-3", is_dark=True, target="detail"),
        Picture("report_in_korean", plant, "ko"),
        Picture("report_of_79_columns", of_catalog("house_prices_kaggle")),
        Picture("report_of_500_columns", of_catalog("madelon")),
    )
    made: dict[Callable[[], Ranking], Ranking] = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        driver = headless_chromium(Path(folder, "profile"))
        driver.set_window_size(WIDTH, HEIGHT)
        for picture in pictures:
            path = options.out / f"{picture.name}.png"
            if path.exists():
                continue
            ranking = made.get(picture.ranked) or picture.ranked()
            made[picture.ranked] = ranking
            page = Path(folder, f"{picture.name}.html")
            ranking.to_html(page, language=picture.language)
            driver.get(page.as_uri() + picture.place)
            if picture.is_dark:
                driver.find_element("id", "theme").click()
            if picture.target:
                driver.execute_script(f"document.getElementById('{picture.target}').scrollIntoView()")
            shown = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
            shown.quantize(N_COLORS).save(path, optimize=True)
            print(path, page.stat().st_size, flush=True)
        driver.quit()


if __name__ == "__main__":
    main()
