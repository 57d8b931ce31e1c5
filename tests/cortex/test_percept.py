"""Percept: the label map against torch's own interpolation, and taking samples."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ciliary.cortex import Cortex
from ciliary.cortex.ops.patches import Patches
from ciliary.cortex.percept import M1Out, M2Out, M3Out, M4Out, Percept, RetinaOut, _argmax_at, final_labels


def random_masks(seed, batch=2, n_slots=5, size=(12, 18), sharpness=3.0):
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, n_slots, 4, 4, generator=rng)
    return torch.softmax(sharpness * F.interpolate(coarse, size=size, mode="bicubic"), 1)


def patches_of(b, size):
    """One patch whose cell is the whole picture, and where the shares of all pixels are its own."""
    share = torch.zeros(b, 1, 9, 4)
    share[:, :, 4] = 1.0
    return Patches(
        share,
        torch.zeros(b, 1, 2),
        torch.ones(b, 1),
        torch.zeros(b, 1, 2),
        torch.zeros(b, 2, 2).long(),
        (1, 1),
        2,
        size,
    )


def numbered(stage, b, **given):
    """A stage's output where every field not given says which sample it belongs to."""
    mark = torch.arange(float(b))
    names = [field.name for field in dataclasses.fields(stage)]
    return stage(**{name: given.get(name, mark.view(-1, 1, 1, 1).expand(b, 2, 3, 4).clone()) for name in names})


def percept_of(masks):
    """A percept with these masks at every pixel."""
    b = len(masks)
    patches = patches_of(b, masks.shape[-2:])
    m4 = numbered(M4Out, b, patches=patches, assignment=masks.flatten(2)[..., :1].transpose(1, 2))
    m4.__dict__.update(masks=masks, winner=masks.max(1).indices)  # where cached properties keep what they drew
    m3 = numbered(M3Out, b, patches=patches)
    return Percept(numbered(RetinaOut, b), numbered(M1Out, b), numbered(M2Out, b), m3, m4)


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


@given(
    st.integers(0, 10_000),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(2, 6),
    st.sampled_from([1, 5, 256]),
)
def test_any_masks_at_any_size_are_as_interpolated(seed, size, to, n_slots, band_rows):
    """Noise, where every pixel is at a border, and a few flat areas; from odd sizes to odd sizes, up and down."""
    rng = torch.Generator().manual_seed(seed)
    masks = torch.softmax(2 * torch.randn(3, n_slots, *size, generator=rng), 1)
    masks[0] = F.one_hot(masks[0].argmax(0), n_slots).movedim(-1, 0).float() * 0.9 + 0.1 / n_slots
    masks[1, :, : size[0] // 2] = masks[1, :, :1, :1]
    oracle = F.interpolate(masks.double(), size=to, mode="bilinear", align_corners=False)
    two = oracle.topk(2, dim=1).values
    clear = two[:, 0] - two[:, 1] > 1e-5  # pixels where rounding cannot decide
    ours = _argmax_at(masks, to, band_rows=band_rows)
    assert ours.shape == (3, *to)
    assert torch.equal(ours[clear], oracle.argmax(1)[clear])


def test_a_slot_that_is_second_everywhere_can_win_between_two_others():
    """Between 1 0 and 0 1 the third, .45 at both, wins half way: the pixels between are not the corners'."""
    masks = torch.tensor([[0.5, 0.05], [0.05, 0.5], [0.45, 0.45]])[None, :, None]
    assert _argmax_at(masks, (1, 9)).tolist() == [[[0, 0, 0, 2, 2, 2, 1, 1, 1]]]


@pytest.mark.parametrize("band_rows", [1, 7, 64, 1000])
def test_bands_equal_the_whole(band_rows):
    masks = random_masks(4)
    size = (95, 63)
    whole = _argmax_at(masks, size, band_rows=10**6)
    assert torch.equal(_argmax_at(masks, size, band_rows=band_rows), whole)


def test_labels_at_input_size_need_no_interpolation():
    masks = random_masks(5)
    assert torch.equal(percept_of(masks).labels(), percept_of(masks).labels((12, 18)))


def test_labels_between_pixels_are_free_of_the_neighbours_in_the_batch():
    # Slot 2 wins at no pixel of the first image, yet would win half way between them: 0.275, 0.275, 0.45.
    first = torch.tensor([[0.50, 0.05], [0.05, 0.50], [0.45, 0.45]])[None, :, None].expand(1, 3, 2, 2)
    second = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    alone = percept_of(first).labels((2, 9))
    assert torch.equal(percept_of(torch.cat([first, second])).labels((2, 9))[:1], alone)
    assert alone.unique().tolist() == [0, 1]


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
    for stage in (taken.retina, taken.m1, taken.m2, taken.m3, taken.m4):
        for field in dataclasses.fields(stage):
            value = getattr(stage, field.name)
            if field.name not in ("patches", "assignment"):
                assert value.flatten(1)[:, 0].tolist() == expected, field.name
    assert len(taken.m4.assignment) == len(taken.m4.patches.share) == len(expected)
    assert taken.m4.patches.grid == (1, 1)


def tensors_of(value):
    if dataclasses.is_dataclass(value):
        return [t for field in dataclasses.fields(value) for t in tensors_of(getattr(value, field.name))]
    return [value] if isinstance(value, torch.Tensor) else []


def test_detach_cuts_every_field_and_changes_none():
    percept = percept_of(random_masks(0))
    for tensor in tensors_of(percept):
        if tensor.is_floating_point():
            tensor.requires_grad_()
    detached = percept.detach()
    assert len(tensors_of(detached)) == len(tensors_of(percept)) > 30
    for before, after in zip(tensors_of(percept), tensors_of(detached), strict=True):
        assert not after.requires_grad
        assert torch.equal(before, after)


# --- fields drawn when asked for


def test_regions_at_every_pixel_are_the_coarse_ones_where_those_are_flat():
    coarse = torch.zeros(1, 2, 4, 6)
    coarse[:, 0, :, :3] = 1.0
    coarse[:, 1, :, 3:] = 1.0
    m2 = numbered(M2Out, 1, contour=torch.zeros(1, 1, 8, 12), regions_coarse=coarse)
    m1 = numbered(M1Out, 1, boundary=torch.zeros(1, 1, 8, 12), regions_coarse=coarse)
    for regions in (m1.regions, m2.regions):
        assert regions.shape == (1, 2, 8, 12)
        torch.testing.assert_close(regions.sum(1), torch.ones(1, 8, 12))
        assert (regions[:, 0, :, :5] == 1).all()
        assert (regions[:, 1, :, 7:] == 1).all()


def test_masks_are_drawn_once_and_kept():
    b, n_slots = 2, 3
    share = torch.softmax(torch.rand(b, 1, n_slots), -1)
    m4 = numbered(M4Out, b, patches=patches_of(b, (2, 2)), assignment=share)
    assert m4.masks is m4.masks
    assert m4.masks.shape == (b, n_slots, 2, 2)
    torch.testing.assert_close(m4.masks, share.transpose(1, 2)[..., None].expand(-1, -1, 2, 2))
    torch.testing.assert_close(m4.masks_coarse, share.transpose(1, 2)[..., None])


@pytest.mark.parametrize("kind", ["none", "contours"])
@pytest.mark.parametrize("size", [(40, 56), (33, 47)])
def test_labels_are_those_of_the_masks_which_are_not_drawn(kind, size):
    image = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        percept = Cortex(inherited=kind)(image)
        labels = percept.labels()
        assert "masks" not in percept.m4.__dict__
        assert torch.equal(labels, final_labels(percept.masks))
        assert torch.equal(labels, percept.labels(size))
        assert (labels.flatten(1).amax(1) + 1).tolist() == [len(one.unique()) for one in labels]
