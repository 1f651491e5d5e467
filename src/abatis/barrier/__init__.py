"""Lines, sites and plans: where barriers buy the most hours for a budget."""
