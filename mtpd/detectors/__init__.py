"""Detectors: their configs, weights, feature maps and training."""
