"""Classes, their balance before the split, and splits that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ciliary.envs.metrics.classes import UNLABELLED
from ciliary.tuning.readout.data import class_weights, count_values, natural_key, open_examples, take_census
from ciliary.tuning.readout.split import Split, check_split, split_blocks, split_images


def census_of(*images, **more):
    return take_census([(f"i{i}", count_values(np.array(one))) for i, one in enumerate(images)], **more)


def test_shares_and_images_that_lack_a_class():
    census = census_of([0, 0, 0, 255], [0, 0, 0, 0], [7, 0, 0, 255])
    assert census.classes.values == (0, 7, 255)
    assert census.share.tolist() == pytest.approx([9 / 12, 1 / 12, 2 / 12])
    assert census.lacking.tolist() == [0, 2, 1]


def test_weights_are_of_the_training_images_alone():
    census = census_of([0, 0, 0, 1], [1, 1, 1, 1])
    assert class_weights(census, (0,)).tolist() == pytest.approx([0.5, 1.5])  # median .5 over .75 and .25, mean 1
    assert class_weights(census, (0, 1)).tolist() != pytest.approx([0.5, 1.5])
    assert class_weights(census, (1,)).tolist() == [0.0, 1.0], "what they lack weighs nothing"


def test_values_become_classes_and_void_nobody_s():
    census = census_of([0, 5, 9, 9], void=9)
    assert census.classes.of(np.array([0, 5, 9])).tolist() == [0, 1, UNLABELLED]
    with pytest.raises(ValueError, match=r"\[7\]"):
        census.classes.of(np.array([7]))
    foreground = census_of(np.arange(100), np.zeros(3, int), is_foreground=True)
    assert foreground.classes.of(np.array([0, 3, 99])).tolist() == [0, 1, 1]
    assert foreground.lacking.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("images", "words"), [([np.arange(50)], "--classes foreground"), ([[3, 3], [3]], "two classes or more")]
)
def test_maps_that_hold_no_classes_are_refused(images, words):
    with pytest.raises(ValueError, match=words):
        census_of(*images)


def test_parts_are_disjoint_and_a_seed_is_a_split():
    split, again, other = (split_images(20, seed=seed) for seed in (1, 1, 2))
    assert split == again != other
    assert sorted(split.train + split.validation + split.test) == list(range(20))
    assert (len(split.train), len(split.validation), len(split.test)) == (12, 4, 4)


def test_blocks_are_neighbours_and_a_gap_keeps_them_apart():
    assert split_blocks(10) == Split((0, 1, 2, 3, 4, 5), (6, 7), (8, 9))
    gap = split_blocks(12, gap=1)
    assert gap == Split((0, 1, 2, 3, 4, 5), (7, 8), (10, 11))
    assert split_blocks(22, test=0.18, validation=0.1).few(4).train == (0, 5, 10, 15)


def test_slices_stand_as_in_the_stack(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for i in (1, 2, 10):
            Image.fromarray(np.full((40, 40), i, np.uint8)).save(tmp_path / kind / f"slice{i}.png")
    examples = open_examples(str(tmp_path), 32)
    assert examples.names == ("slice1", "slice2", "slice10")
    assert examples[2].values.tolist() == np.full((32, 32), 10).tolist()
    assert examples[2].image.shape == (3, 32, 32)
    assert natural_key("a2b") < natural_key("a10b")


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (lambda: split_images(2), "at least 3"),
        (lambda: split_images(4, test=0.7, validation=0.3), "lower --validation"),
        (lambda: split_images(10).few(7), "lower --train"),
        (lambda: split_blocks(6, gap=2), "at least 3"),
    ],
)
def test_too_few_images_are_refused(split, words):
    with pytest.raises(ValueError, match=words):
        split()


def test_a_class_of_test_images_alone_is_refused_by_name():
    census = census_of([0, 1], [0, 1], [0, 1, 7])
    with pytest.raises(ValueError, match="class 7 is in the test images and in none of the 1 training"):
        check_split(Split((0,), (1,), (2,)), census)
    with pytest.raises(ValueError, match="one class only"):
        check_split(Split((0,), (1,), (2,)), census_of([0, 0], [0, 0], [0, 0], [1]))
    check_split(Split((2,), (1,), (0,)), census)


@pytest.mark.parametrize("text", ["synthetic-cells:", "synthetic-cells:x", "synthetic-cells:0", "nowhere"])
def test_what_is_no_source_is_named(text):
    with pytest.raises(ValueError, match=text.partition(":")[0]):
        open_examples(text, 64)
