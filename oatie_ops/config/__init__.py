"""What the operator declared: schema, sources, provenance, issues with file:line:column.

`oatie_ops.config.load.load` reads it, `oatie_ops.config.discover.discover` finds applications,
`oatie_ops.config.settings` is what every other room gets.
"""
