"""The documentation site in a real browser, opened from disk as after `make docs`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

pytest_plugins = ["browser"]  # only these tests need Playwright

ROOT = Path(__file__).parents[2]


@pytest.mark.browser
def test_the_search_finds_a_setting_and_asks_nobody(
    browser: Browser, artifacts: Path, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        check=True,
    )
    page = browser.new_page()
    asked: list[str] = []
    failed: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto((tmp_path / "site" / "index.html").as_uri())
    page.locator("[data-md-component=search-query]").click()
    page.keyboard.type("refill_at")
    found = page.locator(".md-search-result__item", has_text="refill_at")
    found.first.wait_for()
    page.screenshot(path=artifacts / "docs-search.png")
    found.first.locator("a").first.click()
    page.wait_for_url("**/*.html?h=*")
    assert page.locator("mark", has_text="refill_at").count()
    assert not [address for address in asked if not address.startswith(("file:", "data:"))]
    assert not failed
