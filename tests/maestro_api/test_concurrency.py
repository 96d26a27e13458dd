"""Many calls at a time, bounded."""

import itertools
import threading
import time

import pytest

from maestro_api import NotFound, map_bounded


def test_never_more_than_the_given_number_run_at_a_time():
    running, most, lock = [0], [0], threading.Lock()

    def call(item):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.005)
        with lock:
            running[0] -= 1
        return item * 2

    outcomes = list(map_bounded(call, range(40), workers=3))
    assert [outcome.get() for outcome in outcomes] == [item * 2 for item in range(40)]
    assert most[0] == 3


def test_one_failed_call_loses_only_itself():
    def call(item):
        if item == 2:
            raise NotFound
        return item

    outcomes = list(map_bounded(call, range(4)))
    assert [outcome.result for outcome in outcomes] == [0, 1, None, 3]
    with pytest.raises(NotFound):
        outcomes[2].get()


def test_leaving_early_stops_what_has_not_begun():
    called = []
    outcomes = map_bounded(called.append, itertools.count(), workers=2)
    next(outcomes)
    outcomes.close()
    assert len(called) <= 5


def test_an_error_of_our_own_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(map_bounded(lambda item: 1 / item, [0]))


def test_no_workers_is_no_way_to_work():
    with pytest.raises(ValueError, match="at least 1"):
        list(map_bounded(print, [1], workers=0))
