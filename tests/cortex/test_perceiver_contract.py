"""Every perceiver that comes with the project sits the exam, and so does a user's; a wrong one fails it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from ciliary.cortex import SegmenterPerceiver, make_perceiver
from ciliary.cortex.segmenters import SEGMENTERS, LabelPercept
from ciliary.testing.perceiver import PerceiverContract
from ciliary_tests.segmentations import bands


@cache
def cortex(**options):
    return make_perceiver(options)


class TestCortex(PerceiverContract):
    @pytest.fixture
    def perceiver(self):
        return cortex()


class TestCortexThatRecognises(PerceiverContract):
    size = (34, 40)

    @pytest.fixture
    def perceiver(self):
        return cortex(recognise=True, depth="pictorial")


class TestGlances(PerceiverContract):
    @pytest.fixture
    def perceiver(self):
        return make_perceiver("glances:felzenszwalb")


@pytest.mark.parametrize("name", SEGMENTERS)
class TestShipped(PerceiverContract):
    @pytest.fixture
    def perceiver(self, name):
        return SEGMENTERS[name]()


class TestMine(PerceiverContract):
    @pytest.fixture
    def perceiver(self):
        return SegmenterPerceiver(bands, {"threshold": (0.2, 0.8, 0.5), "n": (1, 6, 3)})


class TestMoreSegmentsThanMasks(PerceiverContract):
    @pytest.fixture
    def perceiver(self):
        return SegmenterPerceiver(bands, {"threshold": (0.2, 0.8, 0.4), "n": (4, 9, 6)}, max_masks=2)


# --- what the exam finds
class Wrong(SegmenterPerceiver):
    """One ingredient wrong."""

    def __init__(self, fault):
        super().__init__(bands, {"threshold": (0.2, 0.8, 0.5), "n": (1, 6, 3)})
        self.fault, self.calls = fault, 0
        self.answers = frozenset({"gradient": ["gradient"], "energy": ["energy"]}.get(fault, []))
        self.inert = frozenset({"n"} if fault == "inert" else ())

    def __call__(self, image, theta=None, cues=None):
        self.calls += 1
        if self.fault == "one setting for all":
            theta = {name: x[:1].expand(len(image)) for name, x in theta.items()}
        percept = super().__call__(image, theta)
        if self.fault == "random":
            return replace(percept, segments=(percept.segments + self.calls) % 7)
        if self.fault == "writes":
            image += 1e-6
        if self.fault == "gaps":
            return replace(percept, segments=percept.segments * 2)
        return Doubled(percept.segments) if self.fault == "masks" else percept


class Doubled(LabelPercept):
    @property
    def masks(self):
        return 2 * super().masks


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ("gradient", "test_the_gradient_reaches_parameters_if_it_is_declared"),
        ("energy", "test_energy_recognition_and_stages_are_there_if_declared"),
        ("inert", "test_settings_matter_and_those_called_inert_do_not"),
        ("one setting for all", "test_each_image_has_its_own_setting"),
        ("random", "test_the_same_image_and_setting_give_the_same"),
        ("writes", "test_the_same_image_and_setting_give_the_same"),
        ("gaps", "test_labels_are_numbered_without_gaps_and_agree_with_masks"),
        ("masks", "test_masks_are_a_partition_at_both_sizes"),
    ],
)
def test_the_exam_finds_what_is_wrong(fault, finding):
    with pytest.raises((AssertionError, RuntimeError, AttributeError)):
        getattr(PerceiverContract(), finding)(Wrong(fault))
    getattr(PerceiverContract(), finding)(Wrong("nothing"))


def test_images_are_photographs():
    from ciliary.testing.perceiver import photographs

    image = photographs((48, 64))
    assert image.shape == (2, 3, 48, 64)
    assert image.dtype == torch.float32
    assert np.std(image[0].numpy()) > 0.1
