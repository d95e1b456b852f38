"""How good a detector is, and what it costs: detections, their figures, operations, latency."""
