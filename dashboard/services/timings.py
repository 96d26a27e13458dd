"""Every waiting time of the engine, in one place.

The one rule: the safety figures (settle time, spacing of looks, leases) are never shorter than the call they guard.
"""

from datetime import timedelta

CLICK_DEADLINE_SECONDS = 10.0  # a write made by a click; past it the outcome is unknown
WORKER_DEADLINE_SECONDS = 20.0  # a write made by the worker
READ_DEADLINE_SECONDS = 30.0
FINISH_RESERVE_SECONDS = 2.5  # what a click keeps for reading the state back before it tries again

SEND_LEASE = timedelta(seconds=30)  # longer than any write: after it the sender is dead or stopped
DOUBLE_SUBMIT_WAIT_SECONDS = 8.0

SETTLE_AFTER = timedelta(seconds=60)  # sending, plus the lag of Docusign's lists
BETWEEN_LOOKS = timedelta(seconds=15)
LOOKS_NEEDED = 2
MAX_RESENDS = 2
UNREACHED_WAIT = timedelta(seconds=30)  # before the worker tries again what surely was not sent
MAX_ACTION_ATTEMPTS = 3
CHECK_BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (3, 10, 20, 30, 60, 120, 300))

LOOK_NOTE_EVERY = timedelta(seconds=30)
LOOKED_RECENTLY = timedelta(minutes=15)
PROOF_RENEWED_AFTER = timedelta(minutes=10)
PROOF_KEPT = timedelta(minutes=5)  # the worker's own looks do not ask for rights more often
CONTRACT_PATIENCE = timedelta(seconds=30)
REFRESH_DEBOUNCE = timedelta(seconds=10)
SYNC_QUEUE_PATIENCE = timedelta(seconds=60)  # a queued sync that never began was lost with its worker
SYNC_LEASE = timedelta(seconds=120)  # renewed with every answer
SYNC_SHARE = 10  # a sync waits at least this many times as long as the last one took
SYNC_RETRY_AFTER = timedelta(seconds=15)
ACCOUNT_LIST_PROBE_EVERY = timedelta(days=1)

POLLING_FLOOR = 0.4  # of the hour's calls: below it only people's own actions call Docusign
BREAKER_FAILURES = 5
BREAKER_OPEN = timedelta(seconds=30)

HEARTBEAT_SECONDS = 5.0
HEARTBEAT_KEPT = timedelta(hours=1)
