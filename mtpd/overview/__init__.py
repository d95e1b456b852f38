"""What there is of an experiment so far: how far its jobs are, and what they have measured."""
