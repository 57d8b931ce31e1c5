"""Which parameter, or which look, brought what an episode gained."""
