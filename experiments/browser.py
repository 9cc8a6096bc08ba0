"""Headless Chromium, from Debian's packages chromium and chromium-driver."""

import shutil
from pathlib import Path

from selenium import webdriver

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
)


def headless_chromium(profile: Path, *, with_logs: bool = False) -> webdriver.Chrome:
    """Start Chromium.

    Args:
        profile: An empty directory for its profile.
        with_logs: Whether its console and its requests are logged.
    """
    assert CHROMIUM, "needs the package chromium"
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    if with_logs:
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
