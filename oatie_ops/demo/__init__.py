"""The built-in demo service that an empty directory deploys."""
