"""What a percept is judged by, without any label."""
