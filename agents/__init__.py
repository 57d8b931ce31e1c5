"""The accommodation: controllers, and the one loop :func:`run_episode`.

Names are imported when they are first used (``__init__.pyi`` lists them), so that the command line can ask this room
who plays without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
