"""Percept: the label map against torch's own interpolation, and taking samples."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.percept import M1Out, M2Out, M3Out, M4Out, Percept, RetinaOut, _argmax_at


def random_masks(seed, batch=2, n_slots=5, size=(12, 18), sharpness=3.0):
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, n_slots, 4, 4, generator=rng)
    return torch.softmax(sharpness * F.interpolate(coarse, size=size, mode="bicubic"), 1)


def percept_of(masks):
    """A percept whose every field has the right number of axes and a value that tells the sample."""
    b, s, h, w = masks.shape

    def numbered(stage):
        shapes = {"prototype": (b, s, 3), "adjacency": (b, s, s), "border": (b, s, s), "presence": (b, s)}
        mark = torch.arange(float(b))
        fields = {}
        for field in dataclasses.fields(stage):
            shape = shapes.get(field.name, (b, 1, h, w))
            fields[field.name] = mark.view(-1, *[1] * (len(shape) - 1)).expand(shape).clone()
        return stage(**fields)

    m4 = M4Out(masks=masks, embedding=torch.zeros(b, s, 2), objectness=torch.ones(b, s))
    return Percept(numbered(RetinaOut), numbered(M1Out), numbered(M2Out), numbered(M3Out), m4)


# --- labels


def test_labels_by_hand():
    masks = torch.zeros(1, 4, 2, 3)
    winner = torch.tensor([[3, 3, 1], [1, 1, 3]])  # slots 0 and 2 are empty
    masks.scatter_(1, winner[None, None], 1.0)
    labels = percept_of(masks).labels()
    assert labels.dtype == torch.int64
    assert labels.tolist() == [[[1, 1, 0], [0, 0, 1]]]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([None, (12, 18), (30, 50), (7, 9)]))
def test_labels_are_contiguous_in_each_image(seed, size):
    labels = percept_of(random_masks(seed)).labels(size)
    assert labels.shape == (2, *(size or (12, 18)))
    for image in labels:
        found = image.unique()
        assert found.tolist() == list(range(len(found)))


def same_partition(a, b):
    pairs = torch.stack([a.flatten(), b.flatten()], 1).unique(dim=0)
    return len(pairs) == len(a.unique()) == len(b.unique())


@pytest.mark.parametrize("size", [(24, 36), (47, 31), (12, 40), (40, 18), (301, 200), (6, 9)])
def test_resampled_labels_are_those_of_interpolated_masks(size):
    masks = random_masks(3)
    oracle = F.interpolate(masks, size=size, mode="bilinear", align_corners=False)
    two = oracle.topk(2, dim=1).values
    clear = two[:, 0] - two[:, 1] > 1e-5  # pixels where rounding cannot decide
    ours = _argmax_at(masks, size)
    assert clear.float().mean() > 0.99
    assert torch.equal(ours[clear], oracle.argmax(1)[clear])
    for i_image, labels in enumerate(percept_of(masks).labels(size)):
        keep = clear[i_image]
        assert same_partition(labels[keep], oracle[i_image].argmax(0)[keep])


@pytest.mark.parametrize("band_rows", [1, 7, 64, 1000])
def test_bands_equal_the_whole(band_rows):
    masks = random_masks(4)
    size = (95, 63)
    whole = _argmax_at(masks, size, band_rows=10**6)
    assert torch.equal(_argmax_at(masks, size, band_rows=band_rows), whole)


def test_labels_at_input_size_need_no_interpolation():
    masks = random_masks(5)
    assert torch.equal(percept_of(masks).labels(), percept_of(masks).labels((12, 18)))


def test_labels_need_no_graph():
    masks = random_masks(6).requires_grad_()
    assert not percept_of(masks).labels((20, 20)).requires_grad


# --- taking samples


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, [0]),
        (2, [2]),
        (-1, [2]),
        (-3, [0]),
        (slice(1, None), [1, 2]),
        ([2, 0], [2, 0]),
        (torch.tensor([1, 1]), [1, 1]),
        (torch.tensor([True, False, True]), [0, 2]),
    ],
)
def test_indexing_takes_the_same_samples_of_every_field(index, expected):
    taken = percept_of(random_masks(0, batch=3))[index]
    for stage in (taken.retina, taken.m1, taken.m2, taken.m3):
        for field in dataclasses.fields(stage):
            value = getattr(stage, field.name)
            assert value.flatten(1)[:, 0].tolist() == expected, field.name
    assert taken.m4.masks.shape[0] == len(expected)


def test_detach_cuts_every_field():
    masks = random_masks(0).requires_grad_()
    percept = percept_of(masks * 2)
    assert percept.m4.masks.requires_grad
    detached = percept.detach()
    assert not detached.m4.masks.requires_grad
    assert torch.equal(detached.m4.masks, percept.m4.masks)
