"""The response table as a benchmark of others' samplers: a setting for each image, chosen without its labels."""
