"""The trivial control that everything must beat: stretch the image's contrast, then use the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ciliary.agents.controllers.fixed import FixedController


@dataclass(frozen=True)
class NormaliseController(FixedController):
    """Asks the environment for a 1-99 percentile stretch of the image, and keeps the defaults.

    ``trace.before`` is measured on the image as it came, ``trace.after`` on the stretched one.
    """

    @property
    def name(self) -> str:
        """``normalise``."""
        return "normalise"

    @property
    def env_options(self) -> Mapping[str, Any]:
        """Reset options the loop adds."""
        return {"normalise": True}
