"""Perceivers by name, as module:object, and as objects."""

from functools import partial

import pytest

from ciliary.cortex import SegmenterPerceiver, make_perceiver
from ciliary.cortex.perceiver import check_perceiver
from ciliary.cortex.perceivers import perceiver_mark
from ciliary_tests.segmentations import bands, images


def test_perceivers_by_name_and_as_objects():
    assert make_perceiver().name == make_perceiver("cortex").name == "cortex"
    assert "depth_weight" not in make_perceiver({"depth": "pictorial"}).inert
    assert make_perceiver("watershed").name == "watershed"
    assert make_perceiver("slic", n_workers=2)._workers.n_workers == 2
    one = SegmenterPerceiver(bands)
    assert make_perceiver(one) is one
    assert make_perceiver(bands).table.names == ("threshold", "n")
    assert make_perceiver(partial(bands, n=2)).name == "bands"
    assert make_perceiver(lambda: one) is one
    assert make_perceiver(partial(SegmenterPerceiver, bands)) is not None


MINE = """
import numpy as np
from ciliary.cortex import SegmenterPerceiver
def segment(image, *, threshold=0.5):
    return image.mean(-1) > threshold
described = SegmenterPerceiver(segment, {"threshold": (0.2, 0.8, 0.5)})
class Made(SegmenterPerceiver):
    def __init__(self):
        super().__init__(segment, name="made")
number = 3
class Half:
    name = "half"
    table = None
"""


def test_perceivers_of_a_module(tmp_path, monkeypatch):
    (tmp_path / "my_perceivers_for_a_test.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    at = "my_perceivers_for_a_test:{}".format
    assert make_perceiver(at("segment")).table["threshold"].high == 2
    assert make_perceiver(at("described")).table["threshold"].high == 0.8
    assert make_perceiver(at("Made")).name == "made"
    assert perceiver_mark(at("segment")).startswith(at("segment") + " ")
    assert perceiver_mark("slic") == "slic"
    assert check_perceiver(make_perceiver(at("Made"))).cues(images()) is None
    with pytest.raises(TypeError, match=r"perceiver 'my_perceivers_for_a_test:Half': Half is no perceiver: it lacks"):
        make_perceiver(at("Half"))
    with pytest.raises(TypeError, match="int is no perceiver"):
        make_perceiver(at("number"))
    with pytest.raises(ValueError, match="has no 'Mode'"):
        make_perceiver(at("Mode"))
    with pytest.raises(ValueError, match="choose from cortex, felzenszwalb, slic, watershed"):
        make_perceiver("fezenszwalb")
