"""What controllers learn beforehand."""
