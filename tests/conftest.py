"""Shared by all rooms: threads kept sane, small images, a ready store, the development data where there is some."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

# One thread to a library, before any of them is imported: several pools on few cores are slower than one.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

# Torch's fake tensors on devices that are not there end the process with torch 2.7; with 2.10 they do not.
if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 10):
    collect_ignore_glob = ["*fake*.py", "*any_device*.py"]

REPOSITORY = Path(__file__).resolve().parents[1]

# Examples are drawn the same way everywhere, and a slow machine is not a failure.
hypothesis.settings.register_profile("ciliary", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.load_profile("ciliary")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process for each processor, four at most (each holds torch); none beside this one where tests are named."""
    return 0 if config.getoption("file_or_dir") else min(n_processors(), 4)


def n_processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_collection_finish() -> None:
    """Python looks for garbage less often, and never among what is imported by now: it took a sixth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"].split(",")[0]))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of pyproject.toml."""
    return REPOSITORY


@pytest.fixture
def small_image() -> torch.Tensor:
    """(1, 3, 48, 64): a disc scene with a little grain."""
    from ciliary.envs.data.scenes import make_scene

    return make_scene("discs", seed=0, size=(48, 64))[0][None]


@pytest.fixture(scope="session")
def chelsea() -> torch.Tensor:
    """(1, 3, 64, 96): a bundled photograph of a cat."""
    from ciliary.envs.data.sources import bundled

    return bundled(96, ["chelsea"])[0].image[None]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Development data: the folder CILIARY_DATA names, or ../shared/data beside the repository; else skip."""
    root = Path(os.environ.get("CILIARY_DATA", REPOSITORY.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no development data at {root}; set CILIARY_DATA to the folder that holds bsds500/")
    return root


@pytest.fixture(scope="session")
def bsds_root(data_root: Path) -> Path:
    """BSDS500: images/{train,val} and groundTruth/{train,val}."""
    root = data_root / "bsds500"
    if not (root / "images" / "val").is_dir():
        pytest.skip(f"no BSDS500 at {root}; expected images/{{train,val}} and groundTruth/{{train,val}} in it")
    return root


@pytest.fixture(scope="session")
def _one_look_at_migrations() -> Iterator[None]:
    """MLflow reads its 67 files of migrations each time a store is opened, half of what that takes: here once."""
    from mlflow.store.db import utils

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_get_latest_schema_revision", cache(utils._get_latest_schema_revision))
        yield


@pytest.fixture(scope="session")
def migrated(pytestconfig, tmp_path_factory) -> Path:
    """A database already migrated, made once for each version of MLflow: copying it takes milliseconds, not seconds."""
    kept_by_pytest = getattr(pytestconfig, "cache", None)  # it may be told to keep none
    folder = tmp_path_factory.mktemp("databases") if kept_by_pytest is None else kept_by_pytest.mkdir("databases")
    kept = folder / f"mlflow-{metadata.version('mlflow')}.db"
    if not kept.exists():
        from ciliary.tuning.runs.store import open_store  # tests of the cortex need no store

        folder = tmp_path_factory.mktemp("template")
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            open_store(folder, experiment="template")
        shutil.copy(folder / "mlflow.db", kept.with_suffix(".new"))
        kept.with_suffix(".new").replace(kept)
    return kept


@pytest.fixture
def out(tmp_path, migrated, monkeypatch, _one_look_at_migrations) -> Path:
    """An output folder whose store is ready."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "out"
    folder.mkdir()
    shutil.copy(migrated, folder / "mlflow.db")
    return folder
