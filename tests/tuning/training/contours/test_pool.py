"""Samples: what people's drawings ask for, by hand; views of an image; and the files they are kept in."""

import numpy as np
import pytest
import torch

from ciliary.cortex.parameters import PARAMETERS
from ciliary.cortex.stages.contour_net import N_FULL, N_HALF
from ciliary.envs.data.labelled import LabelledImage
from ciliary.envs.metrics.boundaries import label_boundaries
from ciliary.tuning.training.contours.pool import (
    UNDECIDED,
    Augmentation,
    Pool,
    add_trunk,
    draw_sample,
    inputs_of,
    make_pool,
    targets,
)

# --- targets


def halves(column, size=(9, 21)):
    """A person who sees two halves; the line is on the last column of the left one."""
    label = np.zeros(size, np.int32)
    label[:, column + 1 :] = 1
    return label


NOTHING = np.zeros((9, 21), np.int32)


def test_two_people_who_draw_the_same_line_a_pixel_apart_agree():
    found = targets(np.stack([halves(10), halves(11)]))
    assert found.dtype == np.uint8
    row = found[4]
    assert row[10] == row[11] == 200
    assert row[9] == row[12] == UNDECIDED  # beside a line
    assert (np.delete(row, [9, 10, 11, 12]) == 0).all()
    assert (found == row).all()


def test_what_one_of_three_sees_is_undecided():
    row = targets(np.stack([halves(10), NOTHING, NOTHING]))[4]
    assert (row[9:12] == UNDECIDED).all()
    assert (np.delete(row, [9, 10, 11]) == 0).all()


def test_what_two_of_three_see_is_a_contour_by_two_thirds():
    row = targets(np.stack([halves(10), halves(10), NOTHING]))[4]
    assert row[10] == 133
    assert row[9] == row[11] == UNDECIDED
    assert row[8] == row[12] == 0


def test_lines_far_from_each_other_are_each_ones_own():
    row = targets(np.stack([halves(3), halves(15), NOTHING]))[4]
    assert (row[[2, 3, 4, 14, 15, 16]] == UNDECIDED).all()
    assert (row[5:14] == 0).all()


def test_nobody_drew():
    assert (targets(NOTHING[None]) == 0).all()


# --- samples


PLAIN = Augmentation(clean=1.0, at_default=1.0, turn_deg=0.0)


def test_a_sample_is_a_view_of_what_was_drawn(labelled, buckets):
    for bucket in buckets:
        for seed in range(4):
            sample = draw_sample(labelled[0], bucket, Augmentation(), np.random.default_rng(seed))
            assert sample.image.shape == (3, bucket.height_px, bucket.width_px)
            assert 0 <= sample.image.min() <= sample.image.max() <= 1
            assert sample.target.shape == (bucket.height_px, bucket.width_px)
            assert sample.target.dtype == np.uint8
            assert ((sample.target == UNDECIDED) | (sample.target <= 200)).all()
            assert sample.u.shape == (len(PARAMETERS),)
            assert np.abs(sample.u).max() <= 1


def test_the_same_numbers_give_the_same_sample(labelled, buckets):
    one, other, third = (
        draw_sample(labelled[1], buckets[0], Augmentation(clean=0.0), np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(one.image, other.image)
    np.testing.assert_array_equal(one.target, other.target)
    np.testing.assert_array_equal(one.u, other.u)
    assert not torch.equal(one.image, third.image)


@pytest.mark.parametrize("seed", range(6))
def test_targets_move_with_the_image(labelled, buckets, seed):
    """Scaled, flipped and turned: the contour of people stays where the image is steep."""
    how = Augmentation(clean=1.0, at_default=1.0, turn_deg=20.0)
    sample = draw_sample(labelled[0], buckets[0], how, np.random.default_rng(seed))
    is_contour = (sample.target > 0) & (sample.target != UNDECIDED)
    is_bright = (sample.image.mean(0) > 0.5).numpy()
    steep = np.pad(label_boundaries(is_bright)[3:-3, 3:-3], 3)  # a line may lie beyond the border
    if steep.any():
        near = np.array([np.abs(np.argwhere(is_contour) - at).max(1).min() for at in np.argwhere(steep)])
        assert (near <= 2).mean() > 0.95


def test_without_augmentation_the_setting_is_the_default(labelled, buckets):
    sample = draw_sample(labelled[0], buckets[0], PLAIN, np.random.default_rng(0))
    np.testing.assert_array_equal(sample.u, PARAMETERS.default_unit()[0].numpy())


def test_a_tall_image_is_turned_for_a_wide_sample(labelled, buckets):
    one = labelled[0]
    tall = LabelledImage("tall", None, one.image.transpose(1, 2), tuple(s.T for s in one.segmentations), ())
    sample = draw_sample(tall, buckets[0], PLAIN, np.random.default_rng(0))
    assert sample.image.shape == (3, 32, 48)
    # whole in the picture but for a little: it was not enlarged to fill it
    assert (sample.image.mean(0) > 0.5).float().mean() < 0.5


# --- files


def test_a_pool_is_read_as_it_was_written(pool, labelled, buckets):
    assert pool.buckets == buckets
    assert pool.about["n_images"] == 2
    for k, bucket in enumerate(buckets):
        arrays = pool.arrays[bucket.name]
        n, h, w = 2 * bucket.n_each, bucket.height_px, bucket.width_px
        assert {name: x.shape for name, x in arrays.items()} == {
            "full": (n, N_FULL, h, w),
            "half": (n, N_HALF, h // 2, w // 2),
            "target": (n, h, w),
            "image": (n, 3, h, w),
            "owner": (n,),
        }
        for i in range(2):
            rows = pool.rows(bucket, [i])
            assert rows.tolist() == list(range(i * bucket.n_each, (i + 1) * bucket.n_each))
            sample = draw_sample(labelled[i], bucket, Augmentation(), np.random.default_rng([3, i, k]))
            np.testing.assert_array_equal(arrays["target"][rows[0]], sample.target)
            np.testing.assert_allclose(arrays["image"][rows[0]] / 255, sample.image.numpy(), atol=0.51 / 255)
            full, half = inputs_of(sample.image[None], torch.from_numpy(sample.u)[None])
            np.testing.assert_allclose(arrays["full"][rows[0]], full[0].numpy(), atol=2e-3)
            np.testing.assert_allclose(arrays["half"][rows[0]], half[0].numpy(), atol=2e-3)
        assert pool.rows(bucket, []).tolist() == []
        assert len(pool.rows(bucket, [0, 1])) == n


def test_the_maps_of_a_trunk_are_written_beside(labelled, buckets, tmp_path):
    make_pool(labelled[:1], tmp_path, seed=3, buckets=buckets)
    n_calls = []

    def trunk(image):
        n_calls.append(len(image))
        return tuple(torch.nn.functional.avg_pool2d(image, stride) for stride in (4, 8, 16))

    for _ in range(2):  # the second time all is there
        add_trunk(tmp_path, trunk)
    assert sum(n_calls) == sum(b.n_each for b in buckets)
    for bucket in buckets:
        arrays = Pool(tmp_path).arrays[bucket.name]
        image = torch.from_numpy(np.array(arrays["image"])).float() / 255
        for k, maps in enumerate(trunk(image)):
            np.testing.assert_allclose(arrays[f"trunk{k}"], maps.numpy(), atol=1e-3)
