"""Contours that people taught: labelled images made into samples, the losses, and the training."""
