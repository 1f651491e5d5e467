"""The template of a new study: an invented country that runs as it stands."""
