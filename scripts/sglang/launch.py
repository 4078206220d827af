"""`python -m sglang.launch_server` with an API key that no process list shows: the key is the first line of stdin.

    python launch.py ARGUMENTS < key

The arguments change within this process only; its children get them from it through a pipe, not on a command line.
"""

import os
import runpy
import sys

key = sys.stdin.readline().strip()
# SGLang never reads its input, and a child must not find the key's pipe there.
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
# Not this folder but the user's is where `python -m` looks first.
sys.path[0] = os.getcwd()
sys.argv = ["sglang.launch_server", *sys.argv[1:], "--api-key", key]
runpy.run_module("sglang.launch_server", run_name="__main__", alter_sys=True)
