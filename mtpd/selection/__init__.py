"""Which teachers, and in what order: adaptation costs and orders.

Pure functions on arrays and lists; nothing here knows a model or a file.
"""
