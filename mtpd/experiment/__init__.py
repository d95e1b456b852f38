"""What an experiment is: its runs, what its jobs depend on, and the orders found so far."""
