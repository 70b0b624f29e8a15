"""Where am I: a table of signals, evidence, confidence."""
