"""Towers that turn places on Earth into vectors: GeoCLIP's and SatCLIP's, in NumPy, from their published weights."""
