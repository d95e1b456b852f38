"""Tables and figures, from metrics and histories alone."""
