"""The pipeline's steps: one module for each arrow, called by the ``mtpd`` command."""
