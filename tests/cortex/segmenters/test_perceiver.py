"""The call: what the function is handed, what is computed once, worker processes, and each way in which it can fail."""

import copy
import os
import pickle

import numpy as np
import pytest
import torch

from ciliary.cortex import SegmenterPerceiver
from ciliary.cortex.segmenters import perceiver as module
from ciliary_tests.segmentations import Counting, bands, divides, images, process_in_bits


def test_labels_of_any_values_become_0_to_n():
    percept = SegmenterPerceiver(bands)(images(), {"threshold": torch.tensor([0.5, 0.99]), "n": torch.tensor([2.0, 3])})
    assert percept.segments.dtype == torch.int64
    assert [int(x.max()) for x in percept.segments] == [2, 0]
    expected = np.unique(bands(images()[0].permute(1, 2, 0).numpy(), threshold=0.5, n=2), return_inverse=True)[1]
    assert np.array_equal(percept.segments[0].numpy().ravel(), expected.ravel())


def test_the_function_sees_plain_numbers_and_its_own_image():
    counting = Counting()
    perceiver = SegmenterPerceiver(counting, {"a": (0.5, 2.0, 1.2, "log"), "n": (1, 9, 4)})
    perceiver(images(1), perceiver.table.default_theta(1, n=6.6))
    image, a, n = counting.calls[0]
    assert (type(a), a, type(n), n) == (float, 1.2, int, 7)
    assert (image.shape, image.dtype) == ((32, 48, 3), np.float32)
    image[:] = 0  # what it writes is lost
    perceiver(images(1), perceiver.table.default_theta(1))
    np.testing.assert_array_equal(counting.calls[1][0], images(1)[0].permute(1, 2, 0).numpy())


def test_what_was_seen_is_computed_once(monkeypatch):
    counting = Counting()
    perceiver = SegmenterPerceiver(counting)
    two = images(1).repeat(2, 1, 1, 1)
    first = perceiver(two)
    assert torch.equal(first.segments, perceiver(two).segments)
    assert len(counting.calls) == 1
    perceiver(images(1, seed=1))
    perceiver(two, perceiver.table.default_theta(2, n=5))
    assert len(counting.calls) == 3
    # what was not asked for longest is forgotten first
    monkeypatch.setattr(module, "REMEMBERED_PX", 2 * 32 * 48)
    perceiver(two)
    perceiver(two, perceiver.table.default_theta(2, n=6))
    perceiver(two)
    assert len(counting.calls) == 4
    perceiver(two, perceiver.table.default_theta(2, n=5))
    assert len(counting.calls) == 5
    # the same pixels in another shape are another image
    perceiver(two.permute(0, 1, 3, 2).reshape(2, 3, 48, 32).contiguous())
    assert len(counting.calls) == 6


def test_it_is_copied_without_its_workers_and_memory():
    perceiver = SegmenterPerceiver(bands, n_workers=2)
    before = perceiver(images())
    for twin in (copy.deepcopy(perceiver), pickle.loads(pickle.dumps(perceiver))):
        assert twin.table == perceiver.table
        assert torch.equal(twin(images()[:1]).segments, before.segments[:1])
    perceiver.close()


# --- worker processes
def test_worker_processes_give_the_same_and_name_what_failed():
    alone, shared = SegmenterPerceiver(bands), SegmenterPerceiver(bands, n_workers=2)
    theta = alone.table.from_unit(torch.linspace(-1, 1, 12).view(6, 2))
    assert torch.equal(alone(images(6), theta).segments, shared(images(6), theta).segments)
    with pytest.raises(RuntimeError, match=r"bands\(threshold=0.5, n=0\) on image 1 of 2, 48 x 32 px: ZeroDivision"):
        SegmenterPerceiver(divides, {"threshold": (0.0, 1.0, 0.5), "n": (0, 9, 0)}, name="bands", n_workers=2)(images())
    shared.close()
    shared.close()


def test_worker_processes_are_others_and_stay():
    perceiver = SegmenterPerceiver(process_in_bits, n_workers=2)

    def processes(seed):
        bits = perceiver(images(4, seed=seed)).segments[:, 0, :32]
        return {sum(int(bit) << place for place, bit in enumerate(row)) for row in bits}

    first = processes(0)
    assert os.getpid() not in first
    assert len(first | processes(1)) <= 2
    perceiver.close()
    assert not first & processes(2)
    perceiver.close()


def test_a_function_that_cannot_be_sent_is_called_here():
    perceiver = SegmenterPerceiver(lambda image, *, a=1.0: image.mean(-1) > a / 2, n_workers=2)
    assert perceiver.name == "segment"
    with pytest.warns(RuntimeWarning, match="in this process alone and not in 2"):
        percept = perceiver(images(3))
    assert percept.segments.max() == 1


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (lambda image: image.mean(-1), TypeError, r"float32; if its values are labels, return labels.astype\(int\)"),
        (lambda image: image.astype(int), ValueError, r"expected a label map of shape \(32, 48\), got \(32, 48, 3\)"),
        (lambda image: np.zeros((48, 32), int), ValueError, r"got \(48, 32\)"),
        (lambda image: None, TypeError, "object"),
        (lambda image: 1 / 0, RuntimeError, r"mine\(a=1\) on image 1 of 2, 48 x 32 px: ZeroDivisionError: division"),
    ],
)
def test_wrong_answers_are_named_with_image_and_numbers(answer, error, message):
    perceiver = SegmenterPerceiver(lambda image, a: answer(image), {"a": (0.5, 2.0, 1.0)}, name="mine")
    with pytest.raises(error, match=message):
        perceiver(images())


def test_wrong_images_and_settings_are_refused():
    perceiver = SegmenterPerceiver(bands)
    with pytest.raises(ValueError, match="divide bytes by 255"):
        perceiver(images() * 255)
    with pytest.raises(ValueError, match="one value per image"):
        perceiver(images(), perceiver.table.default_theta(3))
    with pytest.raises(ValueError, match="n_workers"):
        SegmenterPerceiver(bands, n_workers=0)
    with pytest.raises(ValueError, match="max_masks"):
        SegmenterPerceiver(bands, max_masks=0)
