"""Instances in COCO's format: there and back, by hand, beside pycocotools where it is, and of real percepts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ciliary.cortex import Cortex
from ciliary.cortex.integration.looks import Looks
from ciliary.cortex.integration.percept import integrate
from ciliary.envs.data.cells import synthetic_cells
from ciliary.tuning.runs.coco import box_of, coco_page, decode_rle, encode_rle, joined, scores_of


def test_runs_go_down_the_columns_and_begin_with_zeros():
    mask = np.array([[0, 1, 1], [0, 1, 0]], bool)
    assert encode_rle(mask) == {"size": [2, 3], "counts": [2, 3, 1]}
    assert encode_rle(~mask) == {"size": [2, 3], "counts": [0, 2, 3, 1]}
    assert box_of(mask) == [1, 0, 2, 2]
    assert box_of(np.zeros((2, 2), bool)) == [0, 0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_there_and_back(height, width, seed, density):
    mask = np.random.default_rng(seed).random((height, width)) < density
    rle = encode_rle(mask)
    assert np.array_equal(decode_rle(rle), mask)
    assert sum(rle["counts"]) == mask.size
    assert all(n > 0 for n in rle["counts"][1:])


def test_runs_that_do_not_fill_the_size_are_refused():
    with pytest.raises(ValueError, match="6 pixels"):
        decode_rle({"size": [2, 3], "counts": [2, 3]})


def test_pycocotools_reads_them():
    oracle = pytest.importorskip("pycocotools.mask")
    mask = np.random.default_rng(0).random((17, 23)) < 0.4
    theirs = oracle.frPyObjects(encode_rle(mask), 17, 23)
    assert np.array_equal(oracle.decode(theirs).astype(bool), mask)
    assert oracle.area(theirs) == mask.sum()


def page_of(masks: torch.Tensor, **more):
    return coco_page(SimpleNamespace(masks=masks), (4, 4), file_name="a.png", **more)


def test_masks_that_overlap_are_suppressed_and_the_rest_is_told():
    masks = torch.zeros(1, 3, 4, 4)
    masks[0, 0, :2] = 0.6
    masks[0, 1, :2] = 0.4  # the same place, above a third as well
    masks[0, 2, 2:] = 1.0
    page = page_of(masks)
    assert page["images"] == [{"id": 1, "file_name": "a.png", "height": 4, "width": 4}]
    assert [one["bbox"] for one in page["annotations"]] == [[0, 0, 4, 2], [0, 2, 4, 2]]
    assert [one["area"] for one in page["annotations"]] == [8, 8]
    assert {one["score"] for one in page["annotations"]} == {1.0}
    assert page["categories"] == [{"id": 1, "name": "proto-object"}]
    assert len(page_of(masks, max_iou=1.0)["annotations"]) == 3


def test_proto_objects_of_the_cortex_and_of_many_looks():
    image = synthetic_cells(0, size_px=64)[0][None]
    with torch.no_grad():
        percept = Cortex()(image)
    size = (2 * image.shape[-2], 2 * image.shape[-1])
    page = coco_page(percept, size, file_name="cells.png")
    scores = [one["score"] for one in page["annotations"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(float(percept.m4.objectness.max()), abs=1e-5)
    for one in page["annotations"]:
        mask = decode_rle(one["segmentation"])
        assert mask.shape == size
        assert mask.sum() == one["area"]
        assert box_of(mask) == one["bbox"]
    many = integrate(Looks.of(percept))
    assert (scores_of(many) > 0.95).all(), "one look all but agrees with itself"


def test_joined_images_are_numbered_anew():
    masks = torch.ones(1, 1, 4, 4)
    both = joined([page_of(masks), page_of(masks)])
    assert [one["id"] for one in both["images"]] == [1, 2]
    assert [(one["id"], one["image_id"]) for one in both["annotations"]] == [(1, 1), (2, 2)]
