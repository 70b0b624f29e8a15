"""Plan, journal, gate, bake, releases, rollback."""
