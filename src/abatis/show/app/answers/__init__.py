"""The answers of the server as pydantic models."""
