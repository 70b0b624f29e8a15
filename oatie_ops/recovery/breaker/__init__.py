"""The circuit breaker: `circuit` is its face, everything that decides beside it is a pure function."""
