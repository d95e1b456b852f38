"""Tables, figures and words, from results alone."""
