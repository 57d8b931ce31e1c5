"""The cortex read through spikes: what is perceived by when, and what it costs."""
