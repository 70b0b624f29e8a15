"""Where a release can run: one adapter per target."""
