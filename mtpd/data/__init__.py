"""Data sets: generate, convert and check them."""
