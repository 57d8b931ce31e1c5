"""A user's ratings of images beside every number of fluency and term of the objective."""
