from .tuning.sessions.accommodation import Accommodation as Accommodation
from .tuning.sessions.accommodator import Accommodator as Accommodator
from .tuning.sessions.accommodator import accommodate as accommodate

__version__: str
