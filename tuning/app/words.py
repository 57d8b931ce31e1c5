"""What is said of an episode, in a line or two."""

from __future__ import annotations

from ciliary.tuning.app.eye import Episode


def told(episode: Episode) -> str:
    """What was done, what it came to, and why."""
    trace = episode.trace
    before, after = trace.before["total"], trace.after["total"]
    why = [] if trace.guard is None else [trace.guard.reason]
    if trace.is_integrated:  # the guard's reason has the numbers
        done = why or [f"{trace.n_trials} looks together: disagreement {before:.3f} → {after:.3f} (lower is better)."]
        done += ["The sliders stand at the look that the others agree with most."]
    elif trace.i_chosen == 0:
        done = [f"The defaults are kept, after {trace.n_trials} trials.", *why]
    else:
        done = [
            f"Trial {trace.i_chosen} of {trace.n_trials} is applied: {before:.3f} → {after:.3f} (lower is better).",
            *why,
        ]
    if episode.start is not None:
        done += ["It began at the sliders: where they stood is what is called the defaults here."]
    return " ".join([*done, f"Controller: {trace.controller}; {trace.seconds:.1f} s."])
