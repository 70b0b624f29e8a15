"""The user's guide: one page per subcommand, and topics that belong to several; `oatie help` prints them."""
