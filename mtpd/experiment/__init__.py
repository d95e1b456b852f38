"""What an experiment is: its settings, as typed and checked before any job starts."""
