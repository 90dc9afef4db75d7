"""Talks to the engine process. Knows the contract, not the map."""
