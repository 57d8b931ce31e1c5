"""Neurons: spikes, codes of spikes, and the rules by which weights and gains learn."""
