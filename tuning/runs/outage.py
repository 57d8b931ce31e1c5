"""A tracking store that stops answering: it is asked briefly from then on, until it does, and it is said once.

MLflow gives each request to a server some four minutes, so that one which restarts costs no run. A session makes
dozens of requests an episode: without this, a server that is gone would cost more time than the work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

RETRIES, TIMEOUT_S = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
_BRIEF = {RETRIES: "0", TIMEOUT_S: "10"}


class Outage:
    """Whether the store answers, as far as we know.

    Attributes:
        n_in_a_row: tries that failed since the last that did not.
        n_untold: things that were not tracked, and of which nothing was said.
    """

    def __init__(self) -> None:
        self.n_in_a_row = 0
        self.n_untold = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Requests whose end tells how the store is; their error is raised on."""
        with self.briefly():
            try:
                yield
            except Exception:
                self.n_in_a_row += 1
                raise
        self.n_in_a_row = 0

    @contextmanager
    def briefly(self) -> Iterator[None]:
        """Requests that are given little time while the store does not answer."""
        with _environment(_BRIEF) if self.n_in_a_row else nullcontext():
            yield

    def is_news(self) -> bool:
        """Whether the failure that was just raised is the first in a row; further ones are counted."""
        if self.n_in_a_row > 1:
            self.n_untold += 1
        return self.n_in_a_row <= 1


@contextmanager
def few_tries() -> Iterator[None]:
    """A server that is not there is said in seconds, when nothing has been done yet; unless somebody knows better."""
    with nullcontext() if RETRIES in os.environ else _environment({RETRIES: "2"}):
        yield


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """MLflow reads these at each request."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
