"""Reading a zip that ``model.save`` of stable-baselines3 wrote, without running what a stranger may have put into it.

Such a zip holds pickled Python objects beside its weights, and to unpickle is to run. The library pickles what JSON
cannot hold (classes, spaces, schedules), but writes beside each pickle what it is in words. From these words and the
weights, which are read as plain tensors, the policies that the library itself makes are built anew.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from ciliary.cortex.installing import install_extra

#: An entry that only the saved models of this algorithm have, asked in this order (DDPG is a case of TD3).
_MARKS = {"PPO": "clip_range", "SAC": "target_entropy", "TD3": "target_policy_noise", "A2C": "normalize_advantage"}

#: Left out when a zip is read: only training needs them, and they are what breaks between versions.
_UNNEEDED: Mapping[str, Any] = {
    "learning_rate": 0.0,
    "lr_schedule": lambda _: 0.0,
    "clip_range": lambda _: 0.0,
    "clip_range_vf": None,
    "replay_buffer_class": None,
    "replay_buffer_kwargs": {},
    "_last_obs": None,
    "_last_original_obs": None,
    "_last_episode_starts": None,
    "ep_info_buffer": None,
    "ep_success_buffer": None,
    "buffer_size": 1,
    "seed": None,  # it would seed all generators of the process
}

#: What may be said of a network in plain JSON, and what only training needs.
_PLAIN = frozenset(
    {"net_arch", "use_sde", "log_std_init", "full_std", "use_expln", "squash_output", "ortho_init", "normalize_images"}
    | {"clip_mean", "n_critics", "share_features_extractor", "features_extractor_kwargs"}
)
_UNUSED = frozenset({":type:", ":serialized:", "optimizer_class", "optimizer_kwargs", "device"})
_ACTIVATIONS = {str(one): one for one in (nn.Tanh, nn.ReLU, nn.ELU, nn.LeakyReLU, nn.SiLU, nn.GELU, nn.Sigmoid)}
_EXTRACTOR = "<class 'stable_baselines3.common.torch_layers.CombinedExtractor'>"  # the library's own for such spaces

_BOX = re.compile(r"'(\w+)'[:,] Box\(([^,()]+), ([^,()]+), \(([\d, ]*)\), (\w+)\)")
_FRAME = re.compile(r"(OrderedDict|[\s{}()\[\],])*")  # what else a dictionary's text consists of


class NeedsTrust(ValueError):
    """The zip says something that can only be had by unpickling it."""


def read_model(path: Path, *, trust: bool) -> tuple[Any, Mapping[str, Any]]:
    """The model of a zip, and what Ciliary's training wrote into it (empty for a foreign one).

    Args:
        path: of the zip.
        trust: unpickle what it holds, which can run any code.

    Raises:
        FileNotFoundError: no such file.
        ImportError: stable-baselines3 is not installed.
        NeedsTrust: it has parts of its maker's own, and is not trusted.
        ValueError: not such a zip, or of an algorithm or a space that cannot be played here.
    """
    content, data = _opened(path)
    try:
        import stable_baselines3
    except ImportError as error:
        raise ImportError(
            f"a policy of stable-baselines3 needs that library ({error}); install it with: {install_extra('rl')}"
        ) from error
    name = next((name for name, mark in _MARKS.items() if mark in data), None)
    if name is None:
        raise ValueError(f"{path} is of an algorithm that cannot be played here; expected one of {', '.join(_MARKS)}")
    algorithm = getattr(stable_baselines3, name)
    given = {key: value for key, value in _UNNEEDED.items() if key in data}
    try:
        if not trust:
            _check_weights(content)
            given = {**_without_pickles(data, algorithm), **given}
        with torch.random.fork_rng(devices=[]):  # networks are initialised before their weights are read
            model = algorithm.load(io.BytesIO(content), device="cpu", custom_objects=given)
        model.observation_space.spaces  # noqa: B018 -- no observations by name: no policy of ours
    except NeedsTrust as error:
        raise NeedsTrust(
            f"{path} cannot be read without running what it holds ({error}); if you trust whoever made it, say so with "
            "trust=True (on the command line --trust)"
        ) from error
    except Exception as error:  # broken and foreign bytes are met with almost any exception
        raise ValueError(f"{path} cannot be read as a {name} policy on observations by name ({error})") from error
    about = data.get("ciliary")
    return model, about if isinstance(about, dict) else {}


def _opened(path: Path) -> tuple[bytes, dict[str, Any]]:
    """The zip, and its own description, read without unpickling anything."""
    if not path.is_file():
        raise FileNotFoundError(f"no policy at {path}; train one with scripts/train_policy.py --algo ppo")
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            data = json.loads(archive.read("data"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no model saved by stable-baselines3 ({error})") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} is no model saved by stable-baselines3 (its data is a {type(data).__name__})")
    return content, data


def _check_weights(content: bytes) -> None:
    """Raise if the weights are not plain tensors, whatever version of the library reads them afterwards."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if name.endswith(".pth"):
                torch.load(io.BytesIO(archive.read(name)), map_location="cpu", weights_only=True)


def _without_pickles(data: Mapping[str, Any], algorithm: Any) -> dict[str, Any]:
    """What stands for each pickled entry: built from its words where it is needed to play, else nothing."""
    policy = data["policy_class"]
    if not (isinstance(policy, dict) and str(policy.get("__module__")).startswith("stable_baselines3.")):
        raise NeedsTrust("its policy class is its maker's own")
    pickled = [name for name, value in data.items() if isinstance(value, dict) and ":serialized:" in value]
    return {
        **dict.fromkeys(pickled),
        "policy_class": algorithm.policy_aliases["MultiInputPolicy"],
        "policy_kwargs": _network(data.get("policy_kwargs") or {}),
        "observation_space": _observations(data["observation_space"]),
        "action_space": _actions(data["action_space"]),
        "train_freq": 1,
    }


def _network(said: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the network."""
    found: dict[str, Any] = {}
    for name, value in said.items():
        if name in _UNUSED or (name == "features_extractor_class" and value == _EXTRACTOR):
            continue
        if name == "activation_fn" and value in _ACTIVATIONS:
            found[name] = _ACTIVATIONS[value]
        elif name in _PLAIN and not isinstance(value, str):
            found[name] = value
        else:
            raise NeedsTrust(f"its network has {name} {value}")
    return found


def _observations(said: Mapping[str, Any]) -> spaces.Dict:
    """The space of observations, boxes by name, in the order in which the network sees them."""
    text = str(said.get("spaces"))
    if not str(said.get(":type:")).endswith("spaces.dict.Dict'>") or not _FRAME.fullmatch(_BOX.sub("", text)):
        raise ValueError(f"expected observations as a dictionary of boxes, got {said.get(':type:')} {text}")
    boxes: OrderedDict[str, spaces.Space[Any]] = OrderedDict()
    for name, low, high, shape, dtype in _BOX.findall(text):
        sizes = tuple(int(size) for size in shape.split(",") if size.strip())
        boxes[name] = spaces.Box(float(low), float(high), sizes, np.dtype(dtype).type)
    return spaces.Dict(boxes)


def _actions(said: Mapping[str, Any]) -> spaces.Box:
    """The space of actions, a box."""
    if not str(said.get(":type:")).endswith("spaces.box.Box'>"):
        raise ValueError(f"expected actions in a box, got {said.get(':type:')}")
    shape, dtype = tuple(int(size) for size in said["_shape"]), np.dtype(str(said["dtype"])).type
    low, high = (np.array(str(said[name]).strip("[] ").split(), dtype).reshape(shape) for name in ("low", "high"))
    return spaces.Box(low, high, shape, dtype)
