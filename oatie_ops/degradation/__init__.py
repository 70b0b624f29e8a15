"""Switches: what is degraded, who decided it, and how running workers obey at once."""
