"""An order: a branch, a retry, and two parallel steps joined by ports."""
