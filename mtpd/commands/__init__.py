"""The commands of ``mtpd``, by what they are for. Heavy imports live inside them."""
