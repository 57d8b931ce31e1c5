"""A tiny pool of samples of two tiny labelled images."""

from __future__ import annotations

import pytest

from ciliary.envs.data.labelled import read_labelled_folder
from ciliary.tuning.training.contours.pool import Bucket, Pool, make_pool
from ciliary_tests.labelled import write_labelled

#: Two sizes, one of which is turned.
SMALL = (Bucket("wide", 32, 48, 0.9, 1.1, 3, 4), Bucket("square", 32, 32, 0.7, 0.9, 2, 4))


@pytest.fixture(scope="session")
def labelled_root(tmp_path_factory):
    """Two images of 48 x 64."""
    return write_labelled(tmp_path_factory.mktemp("labelled") / "set")


@pytest.fixture(scope="session")
def labelled(labelled_root):
    return read_labelled_folder(labelled_root)


@pytest.fixture(scope="session")
def buckets():
    return SMALL


@pytest.fixture(scope="session")
def pool(labelled, tmp_path_factory):
    root = tmp_path_factory.mktemp("pool")
    make_pool(labelled, root, seed=3, buckets=SMALL)
    return Pool(root)
