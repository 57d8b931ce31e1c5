"""Sessions: many images, one controller, everything kept."""
