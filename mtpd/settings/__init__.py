"""What people may set, typed and checked: of an experiment, of its losses, of the workflow."""
