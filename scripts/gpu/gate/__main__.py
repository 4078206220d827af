"""
The correctness gate over HTTP, on a machine with PyTorch and transformers and without internet:

    python3 scripts/gpu/gate [--device cuda|cpu] [--jsg COMMAND] [--work DIRECTORY] [PART...]

Makes tiny random models, serves each with jsg and holds the log-probabilities it gives against transformers in float32. A line
for each check; exit status 1 when one failed. Parts, all of them unless some are named:
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "test" / "oracle"))

from checks import PARTS, Gate  # noqa: E402


def default_command() -> list[str]:
    """The packed Node where there is one."""
    node = ROOT / "node"
    return [str(node) if node.exists() else "node", str(ROOT / "bin" / "jsg.js")]


def main() -> int:
    listing = "\n".join(f"  {name:9} {run.__doc__}" for name, run in PARTS.items())
    parser = argparse.ArgumentParser(
        "gate", description=__doc__ + listing, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--jsg", type=shlex.split, default=default_command(), help="the command that runs jsg")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "jsg-gate", help="where the models go")
    options = parser.parse_args()
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}")
    gate = Gate(options.jsg, options.device, options.work)
    for name in options.parts or PARTS:
        run: Callable[[Gate], None] = PARTS[name]
        run(gate)
    print(f"{gate.n_checks} checks, {gate.n_failed} failed")
    return 1 if gate.n_failed or not gate.n_checks else 0


if __name__ == "__main__":
    sys.exit(main())
