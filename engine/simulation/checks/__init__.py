"""What must be true of every history, whatever happens in the world."""
