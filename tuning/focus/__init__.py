"""Focusing: an episode of the lens or the pupil at each scene, and the exams of the eye's optics."""
