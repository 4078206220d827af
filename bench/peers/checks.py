"""Runs the `check_` functions of a script: one line each, and an exit code of 1 if any is wrong."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping


def run_checks(script: Mapping[str, object]) -> None:
    """`script`: its `globals()`. Checks run in the order in which they are written."""
    faults = 0
    for name, check in list(script.items()):
        if not name.startswith("check_"):
            continue
        try:
            check()
            print(f"ok    {name[6:]}")
        except Exception:
            faults += 1
            print(f"FAIL  {name[6:]}\n{traceback.format_exc(limit=-3)[:1500]}")
    sys.exit(1 if faults else 0)
