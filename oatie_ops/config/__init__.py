"""What the operator declared: schema, sources, provenance, issues with file:line:column."""
