"""Feature caches: FPN maps of every detector, sampled at the same points of the same images."""
