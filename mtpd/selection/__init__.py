"""Which teachers, and in what order: adaptation costs, orders and the algebra of chains.

Pure functions on arrays and lists; nothing here knows a model or a file.
"""
