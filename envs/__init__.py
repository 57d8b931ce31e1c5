"""The question: views, objective, disturbances, image sources, and the Gymnasium environments.

Importing this package registers ``Ciliary/Accommodation-v0``, ``Ciliary/Toy-v0``, and of an eye ``Ciliary/Gaze-v0``,
``Ciliary/Focus-v0`` and ``Ciliary/Eye-v0``; in a process that has not imported it, such as a spawned worker, ask for
``gymnasium.make("ciliary.envs:Ciliary/Accommodation-v0")``.
"""

import os
from functools import partial
from typing import Any

import gymnasium as gym
import torch

from ciliary.envs.batch import Evaluation as Evaluation
from ciliary.envs.config import EnvConfig as EnvConfig
from ciliary.envs.data.disturbances import DISTURBANCES as DISTURBANCES
from ciliary.envs.data.disturbances import disturb as disturb
from ciliary.envs.data.disturbances import parse_disturbance as parse_disturbance
from ciliary.envs.data.images import open_images as open_images
from ciliary.envs.data.reading import Photograph as Photograph
from ciliary.envs.data.reading import UnreadableImage as UnreadableImage
from ciliary.envs.data.reading import read_image as read_image
from ciliary.envs.evaluator import Evaluator as Evaluator
from ciliary.envs.eye.config import EyeConfig as EyeConfig
from ciliary.envs.eye.single import EyeEnv as EyeEnv
from ciliary.envs.eye.vector import EyeVectorEnv as EyeVectorEnv
from ciliary.envs.objective.make import make_objective as make_objective
from ciliary.envs.objective.terms import Objective as Objective
from ciliary.envs.objective.terms import ObjectiveSettings as ObjectiveSettings
from ciliary.envs.objective.views import Views as Views
from ciliary.envs.objective.views import apply_views as apply_views
from ciliary.envs.objective.views import sample_views as sample_views
from ciliary.envs.single import AccommodationEnv as AccommodationEnv
from ciliary.envs.toy import ToyEnv as ToyEnv
from ciliary.envs.vector import AccommodationVectorEnv as AccommodationVectorEnv

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

# A fork takes no threads along: a child that waits for those of its parent, as torch does, would wait for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))
