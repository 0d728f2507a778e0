"""A synthetic driving world: streets, sensors and a 2D teacher, all drawn from seeds."""
