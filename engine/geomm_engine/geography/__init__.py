"""Where on Earth: distributions on the sphere and the year, climates, and the expert that guesses them."""
