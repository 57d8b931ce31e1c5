"""The question: views, objective, disturbances, image sources, and the Gymnasium environments.

Importing this package registers ``Ciliary/Accommodation-v0`` and ``Ciliary/Toy-v0``; in a process that has not imported
it, such as a spawned worker, ask for ``gymnasium.make("envs:Ciliary/Accommodation-v0")``.
"""

import gymnasium as gym

from envs.accommodation import AccommodationEnv as AccommodationEnv
from envs.disturbances import DISTURBANCES as DISTURBANCES
from envs.disturbances import disturb as disturb
from envs.disturbances import parse_disturbance as parse_disturbance
from envs.evaluate import Evaluation as Evaluation
from envs.evaluate import Evaluator as Evaluator
from envs.objective import Objective as Objective
from envs.objective import ObjectiveSettings as ObjectiveSettings
from envs.reading import Photograph as Photograph
from envs.reading import UnreadableImage as UnreadableImage
from envs.reading import read_image as read_image
from envs.toy import ToyEnv as ToyEnv
from envs.vector import AccommodationVectorEnv as AccommodationVectorEnv
from envs.views import Views as Views
from envs.views import apply_views as apply_views
from envs.views import sample_views as sample_views

if "Ciliary/Toy-v0" not in gym.registry:
    gym.register("Ciliary/Toy-v0", entry_point="envs.toy:ToyEnv", max_episode_steps=64)

if "Ciliary/Accommodation-v0" not in gym.registry:
    gym.register(
        "Ciliary/Accommodation-v0",
        entry_point="envs.accommodation:AccommodationEnv",
        vector_entry_point="envs.vector:AccommodationVectorEnv",
        max_episode_steps=64,
    )
