"""What is installed, reachable and writable here, what is not, and what to do about it."""
