"""Ray as far as a session uses it, in this process and without waiting: what goes wrong is chosen, not hoped for."""

from __future__ import annotations

from types import SimpleNamespace


class RayActorError(Exception):
    pass


class FakeRay:
    """A cluster whose actors live here. ``dies`` is asked before each call (actor's number, method, arguments)."""

    def __init__(self, dies=lambda i, method, arguments: False, resources=None):
        self.dies, self.resources = dies, resources or {"CPU": 2.0}
        self.actors, self.asked, self.killed = [], [], []
        lost = type("Lost", (Exception,), {})
        self.exceptions = SimpleNamespace(
            RayActorError=RayActorError, ObjectLostError=lost, OutOfMemoryError=lost, WorkerCrashedError=lost
        )

    def is_initialized(self):
        return True  # nothing is to be started

    def cluster_resources(self):
        return self.resources

    available_resources = cluster_resources

    def remote(self, **options):
        def made(kind):
            return SimpleNamespace(options=lambda **asks: SimpleNamespace(remote=lambda: self._hire(kind, asks)))

        return made

    def _hire(self, kind, asks):
        self.asked.append(asks)
        self.actors.append(_Actor(self, len(self.actors), kind()))
        return self.actors[-1]

    def wait(self, refs, *, num_returns, timeout):
        assert refs, "waits for nothing"
        return refs[:num_returns], refs[num_returns:]

    def get(self, ref):
        return ref()

    def kill(self, actor, *, no_restart):
        assert no_restart
        actor.is_dead = True
        self.killed.append(actor.i)


class _Actor:
    def __init__(self, ray, i, inner):
        self.ray, self.i, self.inner, self.is_dead = ray, i, inner, False

    def __getattr__(self, method):
        def remote(*arguments):
            def ended():
                self.is_dead = self.is_dead or self.ray.dies(self.i, method, arguments)
                if self.is_dead:
                    raise RayActorError(f"actor {self.i} died")
                return getattr(self.inner, method)(*arguments)

            if method == "stop":
                ended()
            return ended

        return SimpleNamespace(remote=remote, options=lambda **group: SimpleNamespace(remote=remote))
