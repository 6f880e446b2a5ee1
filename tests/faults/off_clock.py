"""`python off_clock.py SECONDS MODULE ARGUMENTS…`: `python -m MODULE`, on a machine whose clock is
so many seconds ahead; behind where negative. Processes that it forks have the same clock."""

from __future__ import annotations

import datetime
import runpy
import sys
from pathlib import Path

import time_machine

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
_, seconds, module, *arguments = sys.argv
now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=int(seconds))
time_machine.travel(now, tick=True).start()
sys.argv = [module, *arguments]
runpy.run_module(module, run_name="__main__", alter_sys=True)
