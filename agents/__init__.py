"""The accommodation: controllers, and the one loop :func:`run_episode`."""

from ciliary.agents.base import Controller as Controller
from ciliary.agents.base import ControllerBase as ControllerBase
from ciliary.agents.episode import EpisodeInterrupted as EpisodeInterrupted
from ciliary.agents.episode import Progress as Progress
from ciliary.agents.episode import run_episode as run_episode
from ciliary.agents.guard import Guard as Guard
from ciliary.agents.registry import CONTROLLERS as CONTROLLERS
from ciliary.agents.registry import make_controller as make_controller
from ciliary.agents.trace import Ending as Ending
from ciliary.agents.trace import GuardDecision as GuardDecision
from ciliary.agents.trace import Trace as Trace
