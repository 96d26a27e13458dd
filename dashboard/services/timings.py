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
LISTING_KEPT = timedelta(seconds=2.5)  # shorter than the shortest time between two looks of one operation
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
PASS_KEPT = timedelta(hours=6)  # a pass that is older begins anew; how long page tokens live is not documented
CHEAP_PASS_CALLS = 5  # a full pass of so few calls is made each time, since it is all that is needed
FULL_SHARE = 0.25  # of the hourly calls, for full passes where recent ones do not reach all that runs
SINGLE_READS = 50  # running instances that a list did not show, read one by one in a pass
FAN_OUT = 4  # lists of workflows that are read at the same time
QUIET_SHARE = 4  # a workflow in which nothing runs is read this many times less often
SERVICE_RETRY_AFTER = timedelta(hours=1)  # a service user who may not read is not asked more often

SLICE_SECONDS = 20.0  # how long a worker's thread stays with one bulk run
RUNNER_LEASE = timedelta(seconds=15)  # longer than one item may take; renewed with each
ITEM_DEADLINE_SECONDS = 12.0  # a write of a bulk run, with its reading back
ITEM_READ_SECONDS = 8.0
IDLE_SECONDS = 3.0  # a run that has to wait for longer gives its thread to others
QUEUED_PATIENCE = timedelta(seconds=5)  # a queued slice that did not begin by then is queued again
CONTRACT_RECHECK = timedelta(seconds=60)
READ_TRIES = 3  # looks at an instance that Docusign does not answer, before its row is left out
UNDO_GIVES_UP = timedelta(minutes=5)  # after its window; a cancel does not come as a surprise hours later

HOURLY_CALLS = 3_000  # of an account, over all its apps, until Docusign's headers say otherwise
BURST_CALLS = 200
PRODUCTION_BURST_CALLS = 500
BURST = timedelta(seconds=30)
BURST_END_SECONDS = 1.0  # a call that is claimed so shortly before the end may be counted in the next window
RESET_SLACK = timedelta(seconds=1)  # Docusign names the reset in whole seconds
CLOCK_SKEW = timedelta(seconds=60)  # between our own machines
LIMIT_JITTER = 0.1

BREAKER_FAILURES = 5
BREAKER_OPEN = timedelta(seconds=30)
WATCH = timedelta(seconds=60)
WATCH_CALLS = 20

HEARTBEAT_SECONDS = 5.0
HEARTBEAT_KEPT = timedelta(hours=1)

DELIVERY_LEASE = timedelta(seconds=90)  # longer than the reads of one batch, which stop in time before its end
DELIVERY_BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (3, 10, 30, 60, 300))
DELIVERY_TRIES = 12  # then the account's own reading finds what the event spoke of
DELIVERY_LOOKS = 3  # where Docusign does not show yet what its own event says
DELIVERIES_KEPT = timedelta(days=31)  # a message that comes again within 30 days is known
