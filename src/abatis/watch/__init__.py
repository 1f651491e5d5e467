"""The room of watch: what posts see."""
