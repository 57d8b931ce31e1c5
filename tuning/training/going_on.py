"""A model of stable-baselines3 goes on from its checkpoint, and nothing that lies there is run.

The library's own ``load`` unpickles what JSON cannot hold, and its replay buffers are pickles; to unpickle is to run,
and a folder may have come from anywhere. The training makes its model anew, from its settings, and takes from the
checkpoint what it has learned: plain tensors, arrays and numbers.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from operator import attrgetter
from pathlib import Path

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer

#: What a model has counted, as its zip tells it in plain JSON.
_COUNTS = ("num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining")
_VARIABLES = "pytorch_variables.pth"  # tensors that are no module's, such as SAC's temperature
_PAIRS = ("observations", "next_observations")
_ARRAYS = ("actions", "rewards", "dones", "timeouts")


def restore(model: BaseAlgorithm, checkpoint: Path) -> None:
    """Give an untrained model the weights, optimisers and counts of a zip that ``model.save`` wrote.

    Raises:
        ValueError: no such zip, or of a model of other networks.
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            said = json.loads(archive.read("data"))
            names = [name for name in archive.namelist() if name.endswith(".pth")]
            tensors = {
                name: torch.load(io.BytesIO(archive.read(name)), map_location=model.device, weights_only=True)
                for name in names
            }
        variables = tensors.pop(_VARIABLES, None) or {}
        model.set_parameters({name.removesuffix(".pth"): x for name, x in tensors.items()}, device=model.device)
        for name, value in variables.items():
            # The very tensor that the optimiser moves: its value changes, not its place.
            attrgetter(name)(model).data.copy_(value.data)
    except (OSError, KeyError, ValueError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]  # torch lists every tensor that does not fit
        raise ValueError(
            f"{checkpoint} is no checkpoint of this training ({why}); move it away to begin anew"
        ) from error
    for name in _COUNTS:
        if isinstance(said.get(name), int | float):
            setattr(model, name, said[name])


def save_buffer(buffer: DictReplayBuffer, path: Path) -> None:
    """What a replay buffer holds, as plain arrays, into an npz file."""
    n = buffer.buffer_size if buffer.full else buffer.pos
    pairs = {f"{pair}/{key}": x[:n] for pair in _PAIRS for key, x in getattr(buffer, pair).items()}
    arrays = {name: getattr(buffer, name)[:n] for name in _ARRAYS}
    with path.open("wb") as file:
        np.savez(file, pos=buffer.pos, **pairs, **arrays)


def restore_buffer(buffer: DictReplayBuffer, path: Path) -> None:
    """Fill an empty buffer with what :func:`save_buffer` wrote; of more than it can hold, the latest.

    Raises:
        ValueError: no such file, or of other observations.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        pos, n = int(held.pop("pos")), len(held["rewards"])
        order = np.roll(np.arange(n), -(pos % max(n, 1)))[-buffer.buffer_size :]  # the oldest first
        for name, x in held.items():
            pair, _, key = name.partition("/")
            (getattr(buffer, pair)[key] if key else getattr(buffer, pair))[: len(order)] = x[order]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} holds no experience of this training ({error}); move it away to begin anew"
        ) from error
    buffer.full = len(order) == buffer.buffer_size
    buffer.pos = len(order) % buffer.buffer_size
