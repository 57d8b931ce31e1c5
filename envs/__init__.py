"""The question: views, objective, disturbances, image sources, and the Gymnasium environments."""

import gymnasium as gym

from envs.evaluate import Evaluation as Evaluation
from envs.toy import ToyEnv as ToyEnv

if "Ciliary/Toy-v0" not in gym.registry:
    gym.register("Ciliary/Toy-v0", entry_point="envs.toy:ToyEnv", max_episode_steps=64)
