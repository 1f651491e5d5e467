"""A plan in the formats that other programs read, each written whole or not at all."""
