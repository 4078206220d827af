"""Does the parser of a real SGLang take the launch lines that jsg prints? For machines without a GPU and without torch.

    python -m venv V && V/bin/python -m pip install --no-deps sglang==0.4.2
    V/bin/python test/oracle/sglang_flags.py [--flags] < test/fixtures/sglang/documented.json

SGLang imports torch and much more before it parses anything. What is missing is replaced here, and only here, by modules
whose every name exists and does nothing; the parser itself, its flags and its choices are SGLang's own. One JSON object on
stdout: the version, the modules that were replaced, and for each line null or what argparse said. --flags adds each flag's
names and choices, as `scripts/sglang/flags.py` tells them.
"""

import argparse
import contextlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import io
import json
import os
import shlex
import sys
import types

# Accelerators that SGLang looks for by these names: there are none.
ABSENT = {"npu", "hpu", "musa"}


def is_absent(name):
    return name in ABSENT or (name.startswith("__") and name.endswith("__"))


class Nothing:
    """Stands for any name of a module that is not here: can be called, subscripted, subclassed and decorated with."""

    def __init__(self, *_, **__):
        pass

    def __call__(self, *args, **_):
        # As a decorator it leaves what it decorates.
        return args[0] if len(args) == 1 and callable(args[0]) else Nothing()

    def __getattr__(self, name):
        if is_absent(name):
            raise AttributeError(name)
        return Nothing()

    def __getitem__(self, _):
        return Nothing()

    def __or__(self, _):
        return Nothing()

    __ror__ = __or__

    def __iter__(self):
        return iter(())

    def __bool__(self):
        return False

    def __mro_entries__(self, _):
        return ()

    def __int__(self):
        return 0

    __index__ = __int__

    def __float__(self):
        return 0.0

    def __len__(self):
        return 0

    def __contains__(self, _):
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def __add__(self, _):
        return Nothing()

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __and__ = __add__

    def __hash__(self):
        return 0

    def __eq__(self, other):
        return isinstance(other, Nothing)

    def __lt__(self, _):
        return False

    __gt__ = __le__ = __ge__ = __lt__


class Stub(types.ModuleType):
    __path__ = []
    __version__ = "0"

    def __getattr__(self, name):
        if is_absent(name):
            raise AttributeError(name)
        return Nothing()


class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Comes last: only packages that nobody else finds are replaced."""

    replaced = set()

    def find_spec(self, name, path=None, target=None):
        parent = sys.modules.get(name.rpartition(".")[0])
        # Modules that a package which is here tries for are rightly missed.
        if parent is not None and not isinstance(parent, Stub):
            return None
        self.replaced.add(name.split(".")[0])
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Stub(spec.name)

    def exec_module(self, module):
        pass


def verdict(parser, line):
    """None: the line is taken."""
    words = shlex.split(line)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(words[words.index("sglang.launch_server") + 1 :])
        return None
    except SystemExit:
        return said.getvalue().strip().splitlines()[-1]


def main():
    lines = json.load(sys.stdin)
    # Newer ones ask for the machine's accelerator while they are imported.
    os.environ.setdefault("SGLANG_USE_CPU_ENGINE", "1")
    sys.meta_path.append(Stubs())
    from sglang.srt.server_args import ServerArgs

    parser = argparse.ArgumentParser(prog="launch_server.py")
    ServerArgs.add_cli_args(parser)
    answer = {
        "version": importlib.metadata.version("sglang"),
        "replaced": sorted(Stubs.replaced),
        "lines": {name: verdict(parser, line) for name, line in lines.items()},
    }
    if "--flags" in sys.argv:
        answer["flags"] = [
            {
                "names": action.option_strings,
                "choices": [str(choice) for choice in action.choices] if action.choices else None,
                "takes_value": action.nargs != 0,
            }
            for action in parser._actions
        ]
    json.dump(answer, sys.stdout, indent=2)
    print()


main()
