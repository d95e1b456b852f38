"""The papers' tables and figures: what was published, and what was measured here."""
