"""What both tiers share: the log's format, request ids, gunicorn's settings and the container's health check."""
