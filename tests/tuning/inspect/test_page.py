"""The page of a look: whole in itself, and true."""

from __future__ import annotations

import base64
import io
import re
from html import unescape

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.cortex import default_theta
from ciliary.cortex.parameters import table_for
from ciliary.cortex.plot.sheet import Row, Sheet
from ciliary.tuning.inspect.numbers import ACTIVITY, measure, share_active
from ciliary.tuning.inspect.page import Section, without_heading, write_page
from ciliary.tuning.inspect.techniques import NAMES, TECHNIQUES
from ciliary.tuning.sessions.figures import write_figure

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def measured(mathematical):
    return measure(mathematical, n_repeats=1)


def page(tmp_path, measured, *, title="x", theta=None, **more):
    sections = [Section(one.name, one.title, one.words, PIXEL) for one in TECHNIQUES]
    numbers, reports = measured
    path = write_page(
        tmp_path / "sub" / "index.html",
        title=title,
        facts=["seen at 64 × 48 px", "<script>"],
        sections=sections,
        numbers=numbers,
        reports=reports,
        theta=default_theta(1) if theta is None else theta,
        **more,
    )
    return path.read_text(encoding="utf-8")


def test_every_section_and_its_anchor(tmp_path, measured):
    text = page(tmp_path, measured)
    for name in (*NAMES, "numbers", "setting"):
        assert f'href="#{name}"' in text
        assert text.count(f'<h2 id="{name}">') == 1


def test_it_needs_no_other_file(tmp_path, measured):
    text = page(tmp_path, measured)
    sources = re.findall(r'src="([^"]+)"', text)
    assert len(sources) == len(NAMES)
    assert all(base64.b64decode(s.removeprefix("data:image/png;base64,")) == PIXEL for s in sources)
    assert "http" not in text
    assert "<link" not in text


def test_names_are_words_not_markup(tmp_path, measured):
    text = page(tmp_path, measured, title="<b>a & b</b>\"'{{ 1 }}")
    assert "<b>" not in text
    assert "<script>" not in text
    assert """<h1><b>a & b</b>"'{{ 1 }}</h1>""" in unescape(text)


def test_each_heading_stands_once(tmp_path, measured):
    sheet = Sheet("A title", "a note", [Row(1, 1.0)])
    path = write_figure(sheet.figure, tmp_path / "sheet.png")
    whole, cut = (np.asarray(Image.open(x).convert("L")) for x in (path, io.BytesIO(without_heading(path))))
    n_cut = len(whole) - len(cut)
    assert (cut == whole[n_cut:]).all()
    assert (whole[:n_cut] < 128).any()  # the title
    assert (whole[n_cut - 3 : n_cut + 3] == 255).all()  # no letter is cut in two
    assert (cut[:30] < 200).any()  # the note is still there
    text = page(tmp_path, measured)
    for one in TECHNIQUES:
        assert len(re.findall(rf">{re.escape(one.title)}</h\d>", text)) == 1


def test_telephones_are_told_to_keep_words_readable(tmp_path, measured):
    text = page(tmp_path, measured)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert "@media (max-width: 700px)" in text
    assert text.count('<div class="wide"><table>') == text.count("<table>") == 2  # a wide table is pushed, not the page


def test_what_was_changed_is_said(tmp_path, measured):
    text = page(tmp_path, measured, theta=default_theta(1, n_regions=5.0))
    assert "Changed: n_regions = 5 (default 8)." in text
    assert "The defaults." in page(tmp_path, measured)


def test_defaults_are_those_of_the_cortex_that_looked(tmp_path, measured):
    table = table_for("contours")
    text = page(tmp_path, measured, theta=table.default_theta(1), table=table)
    assert "merge_threshold = " not in text  # nothing was changed
    assert f"{table['merge_threshold'].default:g}" in text


def test_numbers_of_each_stage(measured):
    numbers, reports = measured
    assert [row.stage for row in numbers] == ["cues", "retina", "m1", "m2", "m3", "m4", "m5"]
    for row, report in zip(numbers, reports, strict=True):
        assert row.time_ms == report.time_ms > 0
        assert row.n_not_finite == 0
        if row.stage in ACTIVITY:
            assert row.gini == next(f.gini for f in report.fields if f.name == ACTIVITY[row.stage])
            assert 0 < row.share_active <= 1


def test_share_active_by_hand():
    assert share_active(torch.tensor([0.0, 0.09, 0.1, -1.0])) == 0.5
    assert share_active(torch.zeros(3)) == 0.0
