"""What a notebook shows of percepts and tables: every image, every row, and no text that is taken for HTML."""

from __future__ import annotations

import ast
import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.cortex import PARAMETERS, Cortex, notebook
from ciliary.cortex.integration.looks import Looks, join_looks
from ciliary.cortex.integration.percept import integrate
from ciliary.cortex.notebook import html_table, picture
from ciliary.cortex.segmenters.percept import LabelPercept
from ciliary.cortex.table import Parameter, ParameterTable

NEVER_CLOSED = {"img", "br"}


class Reader(HTMLParser):
    """Tags in order; fails where one is closed that is not open."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag not in NEVER_CLOSED:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def pictures(page: str) -> list[np.ndarray]:
    found = re.findall(r"data:image/png;base64,([^\"]+)", page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def test_a_picture_comes_back_as_it_was():
    pixels = np.linspace(0, 1, 24).reshape(4, 6)
    (back,) = pictures(picture(pixels, "<x>"))
    assert back.tolist() == np.rint(pixels * 255).astype(int).tolist()
    assert 'alt="&lt;x&gt;"' in picture(pixels, "<x>")


def test_cells_are_text():
    page = str(html_table(["<b>"], [["<script>alert(1)</script> & co"]], caption='"<i>"'))
    reader = Reader(page)
    assert set(reader.seen) == {"table", "caption", "tr", "th", "td"}
    assert "<script>alert(1)</script> & co" in reader.text


def test_segmentations_are_drawn_each_with_its_count():
    segments = torch.zeros(6, 8, 10, dtype=torch.int64)
    segments[1, :, 5:] = 1
    segments[2, 2:4] = 1  # a band: what is left lies in two parts
    page = LabelPercept(segments)._repr_html_()
    reader = Reader(page)
    assert "LabelPercept: 6 images of 10 x 8 px, the first 4 here" in reader.text
    assert reader.seen.count("img") == 4 * 2
    for words in ("1 region", "2 regions", "2 regions in 3 parts"):
        assert words in reader.text
    plain, _, halves, _, *_ = pictures(page)
    assert plain.shape == halves.shape == (8, 10, 3)
    assert len(np.unique(plain.reshape(-1, 3), axis=0)) == 1
    assert halves[0, 0].tolist() != halves[0, 9].tolist()


def test_a_percept_of_the_cortex_and_of_many_looks(small_image):
    with torch.no_grad():
        percept = Cortex()(small_image)
    assert Reader(percept._repr_html_()).seen.count("img") == 2
    assert Reader(percept.lean()._repr_html_()).seen.count("img") == 2


def test_where_looks_disagree_is_drawn_too():
    segments = torch.zeros(1, 8, 8, dtype=torch.int64)
    halves = segments.clone()
    halves[..., 4:] = 1
    looks = join_looks([Looks.of(LabelPercept(one)) for one in (segments, halves)])
    integrated = integrate(looks)
    reader = Reader(integrated._repr_html_())
    assert "uncertainty" in reader.text
    assert reader.seen.count("img") == 3


@pytest.mark.parametrize("device", ["meta"])
def test_what_has_no_numbers_is_named(device):
    page = LabelPercept(torch.zeros(1, 8, 8, dtype=torch.int64, device=device))._repr_html_()
    assert Reader(page).seen == ["p"]


def test_a_table_has_every_parameter():
    reader = Reader(PARAMETERS._repr_html_())
    assert reader.seen.count("tr") == 1 + len(PARAMETERS)
    assert all(row.name in reader.text and row.doc in reader.text for row in PARAMETERS)
    odd = ParameterTable((Parameter("a<b", "", 0, 1, 0.5, "1", "linear", "", "x & y"),))
    assert "a<b" in Reader(odd._repr_html_()).text


def test_nothing_is_imported_to_draw_with_before_a_notebook_asks():
    tree = ast.parse(Path(notebook.__file__).read_text(encoding="utf-8"))
    froms = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    assert "markupsafe" in froms
    assert not [name for name in froms + names if "matplotlib" in name or "plot" in name]
