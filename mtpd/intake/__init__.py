"""From a folder of somebody's own images to an experiment: its format, its split, what to run."""
