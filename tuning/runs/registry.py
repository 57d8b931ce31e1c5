"""Trained policies in MLflow's model registry: named, numbered, with their provenance, and found again by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ciliary.agents.controllers.policy import load_policy
from ciliary.agents.controllers.sb3 import load_sb3
from ciliary.tuning.runs.run import Run, provenance
from ciliary.tuning.runs.store import TRAININGS, Store, open_store

_ADDRESS = re.compile(r"models:/+([^/]+)/(\d+)")
_LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}")
_MODEL = "model"  # folder of the model among its run's artifacts


def register_policy(store: Store, path: Path, name: str) -> int:
    """Log a trained policy as a model of its own run and register it as the next version of ``name``.

    The model is a pyfunc: ``mlflow.pyfunc.load_model("models:/NAME/1").predict(observations)`` takes arrays by name,
    each (N, ...), and gives the next settings (N, P). It needs Ciliary installed where it is used.

    Args:
        store: tracking store.
        path: ``.safetensors`` of Ciliary, or ``.zip`` of stable-baselines3.
        name: letters, digits, ``. _ -`` and spaces.

    Returns:
        the version.

    Raises:
        ValueError: the name is none, or the file no policy.
        FileNotFoundError: no such file.
    """
    if not _LEGAL.fullmatch(name):
        raise ValueError(f"expected a model name of letters, digits, '.', '_', '-' (at most 100), got {name!r}")
    about = open_policy(path).about
    from mlflow import pyfunc
    from mlflow.exceptions import MlflowException

    client = store.client
    tags = {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    with Run.begin(store, name=f"register {name}", kind="policy", tags=tags) as run, TemporaryDirectory() as folder:
        pyfunc.save_model(
            str(Path(folder) / _MODEL),
            loader_module="ciliary.tuning.runs.serving",
            data_path=str(path),
            pip_requirements=["ciliary"],
        )
        client.log_artifacts(run.run_id, str(Path(folder) / _MODEL), _MODEL)
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = client.create_model_version(name, f"{run.artifacts}/{_MODEL}", run.run_id, tags=provenance(tags))
    return int(version.version)


def load_registered(store: Store, name: str, version: int) -> Path:
    """The file of a registered policy, as it was given to :func:`register_policy`.

    Raises:
        ValueError: there is no such version.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        address = store.client.get_model_version_download_uri(name, str(version))
        folder = Path(download_artifacts(artifact_uri=address, tracking_uri=store.uri))
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"no policy models:/{name}/{version} in {store.uri} ({reason})") from error
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".zip"))
    if not found:
        raise ValueError(f"models:/{name}/{version} in {store.uri} holds no policy of Ciliary")
    return found[0]


def find_policy(address: str | Path, out: Path) -> Path:
    """A policy's file: ``models:/NAME/VERSION`` is looked up in the store of ``out``, anything else is the path itself.

    Raises:
        ValueError: as :func:`load_registered`.
        StoreError: the store cannot be opened.
    """
    match = _ADDRESS.fullmatch(Path(address).as_posix())
    if match is None:
        return Path(address)
    return load_registered(open_store(out, experiment=TRAININGS), match[1], int(match[2]))


def open_policy(path: Path) -> Any:
    """A policy by its file: has ``propose(observation)`` and ``about``.

    Raises:
        FileNotFoundError, ValueError: as ``load_policy`` and ``load_sb3`` of :mod:`ciliary.agents.controllers`.
    """
    return load_sb3(path) if path.suffix == ".zip" else load_policy(path)


def propose_each(policy: Any, observations: Mapping[str, Any]) -> np.ndarray:
    """The next settings (N, P) for N observations: arrays by name, each (N, ...)."""
    arrays = {name: np.asarray(values) for name, values in observations.items()}
    n = len(next(iter(arrays.values())))
    return np.stack([policy.propose({name: values[i] for name, values in arrays.items()}) for i in range(n)])
