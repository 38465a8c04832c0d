"""Runners in the world: over a WebSocket, in a process of their own or in answer to a request."""
