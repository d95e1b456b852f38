"""What experiments cost: their jobs, and how long each takes."""
