"""Which teachers, and in what order: adaptation costs and orders.

Pure functions on arrays and lists that return decisions; nothing here knows a model or a file, and
:mod:`mtpd.reporting` finds the words.
"""
