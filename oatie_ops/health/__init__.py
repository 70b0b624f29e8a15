"""Check types, status evaluation, the snapshot."""
