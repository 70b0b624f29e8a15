"""Every built-in default, in one block. Sizes are bytes, times are seconds."""

from __future__ import annotations

APP_HOST = "127.0.0.1"
APP_PORT = 8080
APP_WORKERS = 2
READY_TIMEOUT_SECONDS = 30.0
DRAIN_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 10.0
# Longer than the idle time-out of the usual load balancers (60 s), so that the balancer, not the
# worker, closes an idle connection and no request meets a closing one.
KEEP_ALIVE_SECONDS = 75.0
HANG_TIMEOUT_SECONDS = 10.0
BOOT_TIMEOUT_SECONDS = 60.0
RESTART_LIMIT = 5
RESTART_WINDOW_SECONDS = 60.0
RESTART_BACKOFF_SECONDS = 0.5
RESTART_BACKOFF_MAX_SECONDS = 30.0

BAKE_SECONDS = 10.0
KEEP_RELEASES = 5
BUILD_TIMEOUT_SECONDS = 900.0
RELEASE_TIMEOUT_SECONDS = 600.0
BAKE_MAX_ERROR_RATIO = 0.05

OPS_LISTEN = "127.0.0.1:8000"

LOG_MAX_BYTES = 10 * 1024 * 1024
LOG_KEEP_FILES = 5

CHECK_INTERVAL_SECONDS = 10.0
CHECK_TIMEOUT_SECONDS = 2.0
CHECK_RISE = 2
CHECK_FALL = 3
