"""The embedded ops API."""
