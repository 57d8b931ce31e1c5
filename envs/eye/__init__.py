"""Environments of an eye: gaze, lens and pupil. Importing :mod:`ciliary.envs` registers their three ids."""

from ciliary.envs.eye.config import EyeConfig as EyeConfig
from ciliary.envs.eye.single import EyeEnv as EyeEnv
from ciliary.envs.eye.vector import EyeVectorEnv as EyeVectorEnv
