"""What workers count of the requests that they answer: the numbers, not where they are kept or shown."""
