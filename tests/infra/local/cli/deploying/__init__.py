"""`tidestep deploy` and `tidestep env`, without the SAM CLI and without AWS."""
