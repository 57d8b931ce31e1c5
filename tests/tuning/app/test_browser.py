"""The page in a real browser: opened, a slider moved, accommodated, undone, exported. Needs the extra, and Chromium."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

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


def served(words, **how):
    """A process that serves the page, and its address."""
    port = free_port()
    # as at a terminal, also where the tests run in the background, whose jobs a shell has ignore Ctrl-C
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from ciliary.tuning.cli.app import program; program()"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}  # NiceGUI serves tests otherwise
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", code, *f"open {words} --no-browser --port {port}".split()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, **how)
    assert process.stdout is not None
    assert f":{port}" in process.stdout.readline()
    return process, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def address():
    process, address = served("chelsea coffee --size 96 --inherited none --trials 12 --no-guard")
    yield address
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
    return page.get_attribute(".percept .at-now", "src")


def values(page):
    return page.evaluate("[...document.querySelectorAll('[role=slider]')].map(s => s.getAttribute('aria-valuenow'))")


def becomes_other(page, before):
    page.wait_for_function("b => document.querySelector('.percept .at-now').src != b", arg=before)


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
    assert page.get_attribute(".film", "src").startswith("data:image/gif")

    def exported(what):
        page.click("text=Export")
        with page.expect_download() as found:
            page.click(f".q-menu >> text={what}")
        path = tmp_path / found.value.suggested_filename
        found.value.save_as(path)
        return path

    settings = exported("Settings (JSON)")
    assert settings.name == "chelsea.settings.json"
    assert json.loads(settings.read_text())["set"]
    with zipfile.ZipFile(exported("Maps")) as archive:
        assert {"chelsea.labels.png", "chelsea.uncertainty.png", "chelsea.npz"} <= set(archive.namelist())
    together = percept(page)
    page.click("text=disagreement")
    becomes_other(page, together)
    assert "on average (of 1)" in page.inner_text(".words")
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
    shown = percept(page)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG nothing")
    page.set_input_files(".hidden-image input", broken)
    page.wait_for_selector(".q-notification >> text=broken.png")
    assert percept(page) == shown  # what was there stays
    assert "tiles (opened)" in page.inner_text(".tools")
    settings = tmp_path / "strange.json"
    settings.write_text('{"set": {"focus": 1}}')
    page.set_input_files(".hidden-settings input", settings)
    page.wait_for_selector(".q-notification >> text=unknown parameter")
    page.close()


def dropped(page, path):
    """Drop a file on the page, as a person's hand does."""
    data = page.evaluate_handle(
        """([name, bytes]) => {
            const held = new DataTransfer();
            held.items.add(new File([new Uint8Array(bytes)], name));
            return held;
        }""",
        [path.name, list(path.read_bytes())],
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": data})
    assert "is-dropping" in page.get_attribute("body", "class")
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    assert "is-dropping" not in page.get_attribute("body", "class")


def test_what_is_dropped_is_opened(browser, address, tmp_path):
    page, _ = opened(browser, address)
    before, tiles = percept(page), tmp_path / "dropped.png"
    Image.fromarray(np.kron(np.eye(3, dtype=np.uint8) * 200, np.ones((30, 30), np.uint8))).save(tiles)
    dropped(page, tiles)
    becomes_other(page, before)
    page.wait_for_function("document.querySelector('.words').innerText.includes('90 × 90 px')")
    words = tmp_path / "words.txt"
    words.write_text("no picture")
    dropped(page, words)
    page.wait_for_selector(".q-notification >> text=words.txt: expected a picture")
    settings = tmp_path / "some.json"
    settings.write_text('{"set": {"merge_threshold": 2}}')
    dropped(page, settings)
    page.wait_for_function("document.querySelector('.q-slider[aria-label=merge_threshold]').ariaValueNow == 1")
    page.close()


def test_keys_move_undo_and_show_the_defaults(browser, address):
    page, _ = opened(browser, address)
    first = percept(page)
    page.wait_for_function("document.querySelector('.percept .at-first').src != ''")
    assert page.get_attribute(".percept .at-first", "src") == first
    page.locator('[aria-label="merge_threshold"] [tabindex]').focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    becomes_other(page, first)
    page.keyboard.down("b")
    assert page.is_visible(".percept .at-first")
    assert not page.is_visible(".percept .at-now")
    assert "at the defaults" in page.inner_text(".words .at-first")
    page.keyboard.up("b")
    assert page.is_visible(".percept .at-now")
    page.wait_for_selector("button[aria-label=undo]:not([disabled])")
    while page.is_enabled("button[aria-label=undo]"):  # keys far apart are steps of their own
        page.keyboard.press("Control+z")
        page.wait_for_timeout(500)
    page.wait_for_function("f => document.querySelector('.percept .at-now').src == f", arg=first)
    page.close()


def test_an_episode_begins_at_the_sliders_where_that_is_asked(browser, address):
    page, _ = opened(browser, address)
    page.locator('[aria-label="merge_threshold"] [tabindex]').focus()
    page.keyboard.press("ArrowRight")
    page.click(".act .q-btn-dropdown__arrow-container")
    page.click("text=from the sliders")
    page.wait_for_selector(".verdict >> visible=true")
    assert "began at the sliders" in page.inner_text(".verdict")
    page.close()


def test_it_is_dark_where_the_system_is(browser, address):
    for scheme, is_dark in (("dark", True), ("light", False)):
        page = browser.new_page(color_scheme=scheme)
        page.set_default_timeout(WAIT_MS)
        page.goto(address)
        page.wait_for_selector(".tools")
        ink, paper = (
            page.evaluate(f"getComputedStyle(document.body).{what}.match(/[0-9]+/g).slice(0, 3).map(Number)")
            for what in ("color", "backgroundColor")
        )
        assert (sum(ink) > sum(paper)) == is_dark
        page.close()


def seconds_of(process):
    """Processor time of a process; Linux."""
    words = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_work_for_nobody_is_dropped_and_ctrl_c_ends_it_in_order(browser):
    words = "chelsea --size 64 --inherited none --answer best --controller random --trials 100000"
    process, address = served(words, stderr=subprocess.PIPE)
    page, _ = opened(browser, address)
    page.click("text=Accommodate")
    page.wait_for_selector("text=/[0-9]+ of at most 100000 trials/")
    page.close()
    if Path("/proc").is_dir():
        for _ in range(60):  # the server waits some seconds for a tab to come back
            before = seconds_of(process)
            time.sleep(1)
            if seconds_of(process) - before < 0.2:
                break
        else:
            pytest.fail("the episode of a tab that was closed goes on")
    page, _ = opened(browser, address)
    page.click("text=Accommodate")
    page.wait_for_selector("text=/[0-9]+ of at most 100000 trials/")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not told
    page.close()
