"""The listening socket, the workers, promote and drain, restart policy, daemon, control socket."""
