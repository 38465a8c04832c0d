"""What `make bench` runs: what a step costs, and whether that depends on the steps behind it."""
