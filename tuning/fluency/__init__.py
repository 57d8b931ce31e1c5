"""How easily an image is seen: economy, efficacy, typicality, sharpness, load."""
