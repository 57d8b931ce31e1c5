"""MLflow's pages as a person sees them, in a real browser, where there is one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from ciliary.tuning.sessions.session import run_session
from ciliary_tests.postgres import free_port
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of

pytestmark = pytest.mark.slow
_MOST_MS = 60_000
_CODE = "from ciliary.tuning.cli.app import program; program()"


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'ciliary[browser]')")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as started:
        one = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture
def shown(settings, browser):
    """A page, and the addresses that ``ciliary ui`` printed, of a store with two controllers on two images."""
    for controller in ("random", "cmaes"):
        own = replace(settings, controller=controller, session=controller, use_guard=False)
        run_session(own, [*inputs_of("a", "b")], make_env=lambda s: PictureToy(), display=Recorder())
    command = [sys.executable, "-c", _CODE, "ui", "--store", str(settings.out), "--port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            lines = [server.stdout.readline().strip() for _ in range(6)]
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(_MOST_MS)
            yield page, [line for line in lines if line.startswith("http://")]
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 130


def test_what_a_person_sees(shown):
    page, (every, session, pair) = shown

    page.goto(every)
    page.get_by_text("2 matching runs").wait_for()
    assert page.get_by_text("Model registry").count() == 1  # of models in development, ...
    assert page.get_by_text("AI Gateway").count() == 0  # ... not of chats
    names = ("gain/total", "after/total")
    heads = [page.get_by_role("columnheader", name=name).first.bounding_box() for name in names]
    assert heads[0]["x"] < heads[1]["x"]

    page.goto(session)
    page.get_by_text("Mean gain in the total").wait_for()
    page.get_by_text("Show more").click()  # MLflow folds a note; what it fades cannot be clicked
    link = page.get_by_role("link", name="a · undisturbed").first
    page.goto(f"{session.partition('#')[0]}{link.get_attribute('href')}")  # a click opens it in a tab of its own
    page.get_by_text("(above 0 is better)").wait_for()
    page.get_by_role("link", name="gain/total").first.wait_for()
    assert page.get_by_role("link", name="after/total").count()
    page.get_by_text("Show more").click()
    page.get_by_text("Pages are under Artifacts").wait_for()

    page.goto(pair)
    page.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for()
    page.get_by_text("gain/total").first.wait_for()
