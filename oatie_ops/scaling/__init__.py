"""How many workers and replicas it should be: demand, queueing models, policies, replays, recommendations."""
