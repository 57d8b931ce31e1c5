"""Photographs, what may happen to them, and what people saw in them."""
