"""What happens when something fails: circuit breaker, fallback, error tracking, recovery ladders."""
