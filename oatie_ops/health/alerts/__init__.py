"""Who is told when something fails: decided here, queued in the store, delivered until it arrives."""
