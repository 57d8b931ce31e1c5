"""A learned eye: PPO of gaze, lens and pupil, and the exam that it is told in beside hand-written rules."""
