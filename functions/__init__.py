"""Lambda entry points: parse the event, call the engine through adapters, answer."""
