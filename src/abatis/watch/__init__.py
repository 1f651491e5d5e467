"""Watch: what posts see."""
