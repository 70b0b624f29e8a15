"""Caddy in front of what cannot share a listening socket: containers, and programs of other languages."""
