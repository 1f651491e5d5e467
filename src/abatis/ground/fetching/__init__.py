"""Open data for a study's ground: which files, from where, got politely and listed in sources.csv."""
