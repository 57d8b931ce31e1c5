"""The question: views, objective, disturbances, image sources, and the Gymnasium environments.

Importing this package registers ``Ciliary/Accommodation-v0``, ``Ciliary/Toy-v0``, and of an eye ``Ciliary/Gaze-v0``,
``Ciliary/Focus-v0`` and ``Ciliary/Eye-v0``; in a process that has not imported it, such as a spawned worker, ask for
``gymnasium.make("ciliary.envs:Ciliary/Accommodation-v0")``.

Names are imported when they are first used (``__init__.pyi`` lists them), so that the command line can look for images,
and read what it is told, without torch.
"""

import os
import sys
from typing import Any

import gymnasium as gym
import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

if "Ciliary/Toy-v0" not in gym.registry:
    gym.register("Ciliary/Toy-v0", entry_point="ciliary.envs.toy:ToyEnv", max_episode_steps=64)

if "Ciliary/Accommodation-v0" not in gym.registry:
    gym.register(
        "Ciliary/Accommodation-v0",
        entry_point="ciliary.envs.single:AccommodationEnv",
        vector_entry_point="ciliary.envs.vector:AccommodationVectorEnv",
        max_episode_steps=64,
    )

_EYES: dict[str, dict[str, Any]] = {
    "Ciliary/Gaze-v0": {"muscles": ("gaze_y_deg", "gaze_x_deg"), "scenes": "photographs"},
    "Ciliary/Focus-v0": {"muscles": ("focus_dpt",), "scenes": "synthetic", "mosaic_coarse": 4},
    "Ciliary/Eye-v0": {},
}
for _id, _settings in _EYES.items():
    if _id not in gym.registry:
        gym.register(
            _id,
            entry_point="ciliary.envs.eye.single:EyeEnv",
            vector_entry_point="ciliary.envs.eye.vector:EyeVectorEnv",
            max_episode_steps=16,
            kwargs=_settings,
        )


def _use_one_thread() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


# A fork takes no threads along: a child that waits for those of its parent, as torch does, would wait for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)
