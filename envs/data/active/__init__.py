"""Scenes for an eye that moves, focuses and adapts: light and distance, stacks over lens or shutter, video."""
