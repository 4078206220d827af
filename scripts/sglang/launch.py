"""`python -m MODULE ARGUMENTS --api-key KEY` where no process list shows the key: it is the first line of stdin.

    python launch.py MODULE ARGUMENTS < key

The arguments change within this process only; its children get them from it through a pipe, not on a command line.
"""

import os
import runpy
import sys

key = sys.stdin.readline().strip()
# A server never reads its input, and a child must not find the key's pipe there.
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
# Not this folder but the user's is where `python -m` looks first.
sys.path[0] = os.getcwd()
module = sys.argv[1]
sys.argv = [module, *sys.argv[2:], "--api-key", key]
runpy.run_module(module, run_name="__main__", alter_sys=True)
