"""Controllers of an eye, for the loop of :func:`ciliary.agents.run_episode`."""
