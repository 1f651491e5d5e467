"""Programme: what is bought and built in which year, for how much, and what the country can afford."""
