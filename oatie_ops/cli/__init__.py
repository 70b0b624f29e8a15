"""The command line: one file per subcommand. Parse, call the layer, render."""
