"""How gunicorn serves the console: `gunicorn --config deploy/gunicorn.conf.py dashboard.wsgi`.

The one rule: it listens on this machine only; whoever comes from outside comes through the proxy with TLS.
"""

import os

bind = os.environ.get("WEB_BIND") or "127.0.0.1:8000"
workers = int(os.environ.get("WEB_PROCESSES") or 2)
threads = int(os.environ.get("WEB_THREADS") or 4)
worker_class = "gthread"
# A write made by a click may take 10 seconds and its answer is awaited; a thread that is stuck must not stay so for ever.
timeout = 60
graceful_timeout = 30
keepalive = 65  # longer than the proxy keeps an idle connection, so that it is never closed under a request
# Where heartbeats are written: in memory, since a slow disk must not look like a dead process.
worker_tmp_dir = "/dev/shm"  # noqa: S108  # a directory of the system, not a file name to be guessed
accesslog = None  # addresses hold codes and names; the console's own lines name the route and carry the request's id
errorlog = "-"
loglevel = "warning"
# Signals are enough to reload and stop it; nothing else is to listen.
control_socket_disable = True
