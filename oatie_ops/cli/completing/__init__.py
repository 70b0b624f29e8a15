"""Completion scripts and man pages, written from the one command tree."""
