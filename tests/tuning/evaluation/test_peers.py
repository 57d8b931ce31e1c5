"""Every peer on scenes whose answer is known, and the choice of settings on one where only one of them is right."""

import numpy as np
import pytest
import torch

from ciliary.envs.data.labelled import LabelledImage, read_bsds
from ciliary.envs.metrics.regions import region_covering
from ciliary.tuning.evaluation import peers
from ciliary.tuning.evaluation.peers import (
    PEERS,
    Peer,
    choose_peer_settings,
    one_region,
    peer_labels,
    segment_quickshift,
)

NOT_TRIVIAL = [name for name in PEERS if name != "one_region"]


@pytest.fixture
def two_halves():
    """A red and a blue half with a little grain: (image (96, 120, 3), labels)."""
    truth = np.zeros((96, 120), int)
    truth[:, 60:] = 1
    image = np.array([[0.8, 0.2, 0.2], [0.1, 0.3, 0.8]])[truth]
    image += np.random.default_rng(0).normal(0, 0.01, image.shape)
    return np.clip(image, 0, 1), truth


def labelled(image, *people):
    return LabelledImage("made", None, torch.from_numpy(image).float().permute(2, 0, 1), people, ())


@pytest.mark.parametrize("name", NOT_TRIVIAL)
def test_two_halves_are_told_apart(name, two_halves):
    image, truth = two_halves
    labels = peer_labels(name, image)
    # Whatever else is cut, no segment lies across the border between red and blue (quickshift: by a reduced pixel).
    majority = np.array([np.bincount(truth[labels == k]).argmax() for k in range(labels.max() + 1)])
    assert np.mean(majority[labels] == truth) > 0.97


@pytest.mark.parametrize("name", PEERS)
def test_labels_are_numbered_without_gaps(name, two_halves):
    image = two_halves[0][:95, :119]  # sides that no reduction divides
    labels = peer_labels(name, image)
    assert labels.shape == image.shape[:2]
    assert labels.dtype == np.int64
    assert set(np.unique(labels)) == set(range(labels.max() + 1))
    assert np.array_equal(labels, peer_labels(name, image))


@pytest.mark.parametrize("name", PEERS)
def test_a_blank_is_one_region_or_a_plain_grid(name):
    labels = peer_labels(name, np.full((60, 80, 3), 0.5))
    assert labels.max() == 0 or name == "slic"


@pytest.mark.parametrize("name", PEERS)
def test_settings_in_use_are_of_the_grid(name):
    assert dict(PEERS[name].chosen) in list(PEERS[name].settings())


def test_one_region_knows_nothing(two_halves):
    image, truth = two_halves
    assert region_covering(one_region(image), [truth]) == 0.5


def test_quickshift_labels_come_back_in_place():
    # A bright square at 40..60 x 60..92 in an image of quarters: its border must not move.
    image = np.zeros((100, 120, 3))
    image[40:60, 60:92] = (0.9, 0.8, 0.1)
    labels = segment_quickshift(image, kernel_size_px=3, max_dist=6)
    inside = np.zeros((100, 120), int)
    inside[40:60, 60:92] = 1
    majority = np.array([np.bincount(inside[labels == k], minlength=2).argmax() for k in range(labels.max() + 1)])
    assert np.mean(majority[labels] == inside) > 0.985


def test_the_right_setting_is_chosen(two_halves, monkeypatch):
    image, truth = two_halves

    def stripes(image, *, n):
        return np.broadcast_to(np.arange(image.shape[1]) * int(n) // image.shape[1], image.shape[:2])

    monkeypatch.setattr(peers, "PEERS", {"stripes": Peer(stripes, {"n": (1, 2, 3)}, {"n": 1}, "made up")})
    choice = choose_peer_settings([labelled(image, truth)] * 2)["stripes"]
    assert choice.settings == {"n": 2}
    assert choice.covering == 1
    assert not choice.is_at_edge
    # People who saw one region want another setting; it is the first of the grid, and that is said.
    blank = choose_peer_settings([labelled(image, 0 * truth)])["stripes"]
    assert (blank.settings, blank.is_at_edge) == ({"n": 1}, True)
    # The mean counts, not the last photograph.
    both = choose_peer_settings([labelled(image, truth), labelled(image, truth), labelled(image, 0 * truth)])
    assert both["stripes"].settings == {"n": 2}
    assert both["stripes"].covering == pytest.approx((1 + 1 + 0.5) / 3)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((3, 40, 50)), ValueError, "channels last"),
        (np.zeros((40, 50, 3), np.uint8), ValueError, "uint8"),
        (np.full((40, 50, 3), 255.0), ValueError, "divide bytes by 255"),
    ],
)
def test_wrong_images_are_refused(image, error, message):
    with pytest.raises(error, match=message):
        peer_labels("slic", image)


def test_unknown_peers_are_answered_with_the_known():
    with pytest.raises(KeyError, match="felzenszwalb"):
        peer_labels("fezenszwalb", np.zeros((40, 50, 3)))
    with pytest.raises(ValueError, match="at least one photograph"):
        choose_peer_settings([])


@pytest.mark.slow
def test_peers_agree_with_people_more_than_one_region(bsds_root):
    photographs = read_bsds(bsds_root, "val", n_images=10)
    means = {
        name: np.mean(
            [
                region_covering(peer_labels(name, one.image.permute(1, 2, 0).numpy()), one.segmentations, stride=2)
                for one in photographs
            ]
        )
        for name in PEERS
    }
    print(means)
    assert all(means[name] > means["one_region"] for name in NOT_TRIVIAL)
    # On all 100: .535 and .313.
    assert max(means, key=means.__getitem__) == "contours"  # the one that people taught
    del means["contours"]
    assert max(means, key=means.__getitem__) == "felzenszwalb"
    assert means["felzenszwalb"] > means["one_region"] + 0.15
