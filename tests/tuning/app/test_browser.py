"""The page in a real browser: opened, a slider moved, accommodated, undone, exported. Needs the extra, and Chromium."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from ciliary_tests.postgres import free_port

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
NEEDED = ("nicegui", "playwright")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or any(importlib.util.find_spec(name) is None for name in NEEDED),
        reason="needs Chromium, playwright, and pip install 'ciliary[app]'",
    ),
]
WAIT_MS = 30_000


@pytest.fixture(scope="module")
def address():
    port = free_port()
    words = f"open chelsea coffee --no-browser --port {port} --size 96 --inherited none --trials 12"
    code = "from ciliary.tuning.cli.app import program; program()"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}  # NiceGUI serves tests otherwise
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words.split(), "--no-guard"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert f":{port}" in process.stdout.readline()
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as made:
        browser = made.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser, address):
    """A page with its percept, and what it asked of others than this machine."""
    page, elsewhere = browser.new_page(), []
    page.set_default_timeout(WAIT_MS)
    page.on("request", lambda r: r.url.startswith(("http://127.0.0.1", "data:", "blob:")) or elsewhere.append(r.url))
    for _ in range(60):  # the server says its address just before it listens
        try:
            page.goto(address)
            break
        except Exception:  # noqa: BLE001 -- of playwright
            page.wait_for_timeout(500)
    page.wait_for_function("document.querySelector('.words')?.innerText.includes('regions')")
    return page, elsewhere


def percept(page):
    return page.get_attribute(".percept img", "src")


def values(page):
    return page.evaluate("[...document.querySelectorAll('[role=slider]')].map(s => s.getAttribute('aria-valuenow'))")


def becomes_other(page, before):
    page.wait_for_function("b => document.querySelector('.percept img').src != b", arg=before)


def test_a_person_finds_everything(browser, address, tmp_path):
    page, elsewhere = opened(browser, address)
    other, _ = opened(browser, address)
    first, untouched = percept(page), percept(other)
    assert "Undo" in page.inner_text("button[disabled]")
    page.locator('[aria-label="n_regions"] [tabindex]').focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    becomes_other(page, first)

    before = values(page)
    page.click("text=Accommodate")
    page.wait_for_selector(".verdict >> visible=true")
    assert " looks together: " in page.inner_text(".verdict")
    assert values(page) != before
    assert page.get_attribute(".film img", "src").startswith("data:image/gif")

    def exported(what):
        page.click("text=Export")
        with page.expect_download() as found:
            page.click(f".q-menu >> text={what}")
        path = tmp_path / found.value.suggested_filename
        found.value.save_as(path)
        return path

    settings = exported("Settings")
    assert settings.name == "chelsea.settings.json"
    assert json.loads(settings.read_text())["set"]
    with zipfile.ZipFile(exported("Maps")) as archive:
        assert {"chelsea.labels.png", "chelsea.uncertainty.png", "chelsea.npz"} <= set(archive.namelist())
    together = percept(page)
    page.click("text=disagreement")
    becomes_other(page, together)
    assert "% on average" in page.inner_text(".words")
    page.click("text=/^regions$/")
    accommodated, at = percept(page), values(page)
    page.click("text=Defaults")
    becomes_other(page, accommodated)
    page.set_input_files(".hidden-settings input", settings)
    page.wait_for_function(
        "v => [...document.querySelectorAll('[role=slider]')].every((s, i) => Math.abs(s.ariaValueNow - v[i]) < 0.02)",
        arg=at,
    )
    page.click("text=Undo")
    page.wait_for_function("document.querySelectorAll('[aria-label^=\"default of\"]:not(.hidden)').length == 0")
    assert percept(other) == untouched  # the other tab is somebody else's
    assert not elsewhere  # all that it needs, it brings


def test_a_picture_is_opened_and_what_cannot_be_read_is_named(browser, address, tmp_path):
    page, _ = opened(browser, address)
    before, tiles = percept(page), tmp_path / "tiles.png"
    Image.fromarray(np.kron(np.eye(4, dtype=np.uint8) * 200, np.ones((20, 20), np.uint8))).save(tiles)
    page.set_input_files(".hidden-image input", tiles)
    becomes_other(page, before)
    page.wait_for_function("document.querySelector('.words').innerText.includes('80 × 80 px')")
    assert "tiles (opened)" in page.inner_text(".tools")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG nothing")
    page.set_input_files(".hidden-image input", broken)
    page.wait_for_selector(".q-notification >> text=broken.png")
    settings = tmp_path / "strange.json"
    settings.write_text('{"set": {"focus": 1}}')
    page.set_input_files(".hidden-settings input", settings)
    page.wait_for_selector(".q-notification >> text=unknown parameter")
    page.close()
