"""The accommodation: controllers, and the one loop :func:`run_episode`."""

from agents.base import Controller as Controller
from agents.episode import EpisodeInterrupted as EpisodeInterrupted
from agents.episode import Progress as Progress
from agents.episode import run_episode as run_episode
from agents.guard import Guard as Guard
from agents.registry import CONTROLLERS as CONTROLLERS
from agents.registry import make_controller as make_controller
from agents.trace import Ending as Ending
from agents.trace import GuardDecision as GuardDecision
from agents.trace import Trace as Trace
