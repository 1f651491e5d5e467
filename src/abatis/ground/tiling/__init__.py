"""Counting the working pixels tile by tile: cut, count anywhere, keep, put together."""
