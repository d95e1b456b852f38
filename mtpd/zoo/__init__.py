"""Trained weights that others publish: what there is, where it lies, and one cache of them."""
