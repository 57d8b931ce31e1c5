"""The eye before the cortex: optics, pupil and photons, the lattice of a glance, and what an episode remembers."""
