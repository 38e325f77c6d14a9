"""gunicorn's settings, the same for both tiers. Each tier's gunicorn.conf.py takes them over by name."""

from __future__ import annotations

import os

bind = f"{os.environ.get('HOST', '0.0.0.0')}:{os.environ.get('PORT', '8080')}"

# The work is waiting for the next tier, so threads serve it well, also on a quarter of a processor. The second process answers
# health checks while the first is busy or is being replaced.
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 8

# Longer than the load balancer keeps an idle connection (60 s), so that it is always the balancer that closes it. Otherwise it
# would now and then send a request into a connection that is just being closed here, and answer 502.
keepalive = 75

# Shorter than the container's stop timeout (40 s): requests end by themselves before anybody is killed.
graceful_timeout = 30

# The root file system is read-only, and a worker's heartbeat on a disk would wait for the disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
control_socket_disable = True

# The application writes its own line a request (request_log.py), and gunicorn's messages take the way of all others (logs.py).
accesslog = None
errorlog = None
logger_class = "common.logs.GunicornLogger"
