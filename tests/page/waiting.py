"""Waiting for the page from outside: Playwright's own wait_for_function asks for eval, which the page forbids."""

import time


def until(page, condition, seconds=8):
    """Returns once a JavaScript expression holds."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {condition}")
        page.wait_for_timeout(25)
