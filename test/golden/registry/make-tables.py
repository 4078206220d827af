"""Writes the tables that test/unit/registry compares with: what Python's `packaging` says of versions, specifiers and tags.

    python3 test/golden/registry/make-tables.py     (needs packaging >= 24)
"""

import itertools
import json
import pathlib

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import compatible_tags, cpython_tags
from packaging.version import InvalidVersion, Version

VERSIONS = """1 1.0 1.0.0 1.0.dev0 1.0.dev1 1.0a1 1.0a1.dev2 1.0a1.post1 1.0b2 1.0rc1 1.0rc1.dev1 1.0.post1 1.0.post1.dev2
1.0+cu126 1.0+cu128 1.0+nv24.08 1.0+nv24.8.1 1.0+12 1.0+abc 1.0.1 1.1 1.10 1.9 1!0.5 2.0 2.4.0 2.5.0 2.5.0a0+872d972e41.nv24.08
2.6.0rc1 2.8 2.8.0 2.8.0+cu126 2.8.1 2.8.0.post1 2.8.0.post1+cu126 2.8.0rc1 2.8.0.dev20250601+cu126 2.9.0 2.10.0 0.2.0
0.2.0.post1 0.0.2.post14 20241225 3.0.dev1 1.0-1 v1.0 1.0-ALPHA.3 1.0.rev3 1.0c2 1.0preview4 1.0_dev 1.0+Ubuntu-1""".split()
INVALID = ["", "x", "1.x", "1..0", "1.0+", "1.0++a", "1.0a1b2", "french toast", "1.0 1", "1.0+a_", "1.0-", "١.0"]
SPECIFIERS = """==1.0 ==1.0.0 ==1.0.* ==1.* ==2.8.0 ==2.8.0+cu126 ==2.8.* !=2.8.0 !=2.8.* !=2.8.0+cu126 ~=1.0 ~=2.8.0 ~=2.5
~=1.0a1 ~=2.8.0.post1 >=2.8.0 >2.8.0 >2.8 <2.8.0 <=2.8.0 <=2.8 >1.0 >1.0.post1 <1.0 <1.0rc1 <1.0.post1 >1.0rc1 >1.0a1 <=1.0rc1
===1.0 ===2.8.0+cu126 ===2.8.0+CU126 ===1.0.0 >=1.0.dev1 ~=1!0.5 >=1!0 ==1!0.* <1!0 >=2.4,<3 >=2.5.0,!=2.8.0,<2.10 >1.0.dev0 <1.0.dev1
>1.0.post1.dev1 <2.8.0.post1 >=2.8.0rc1 ==0.0.2.post14 >=0.2.0.post1""".split()
BAD_SPECIFIERS = ["~=1", ">=1.0+cu126", ">=1.0.*", "<1.*", "=1.0", "1.0", "==", "==1.0a1.*", "~=1.0+a", "==1.0+a.*", "~=1.0.*", ">x"]
TARGETS = [("3.6", "aarch64", 27), ("3.8", "aarch64", 31), ("3.10", "aarch64", 35), ("3.12", "aarch64", 39), ("3.12", "x86_64", 39), ("3.10", "x86_64", 17)]


def order(versions):
    parsed = [Version(v) for v in versions]
    return [[(a > b) - (a < b) for b in parsed] for a in parsed]


def is_bad(make, text, error):
    try:
        make(text)
    except error:
        return True
    return False


def platforms(machine, glibc):
    """The platforms of packaging's own manylinux rules, for a machine that is not this one."""
    lowest = 5 if machine == "x86_64" else 17
    names = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    for minor in range(glibc, lowest - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in names:
            yield f"{names[minor]}_{machine}"
    yield f"linux_{machine}"


def tags(python, machine, glibc):
    version = tuple(map(int, python.split(".")))
    abi = f"cp{version[0]}{version[1]}{'m' if version < (3, 8) else ''}"
    names = list(platforms(machine, glibc))
    interpreter = f"cp{version[0]}{version[1]}"
    found = itertools.chain(cpython_tags(version, [abi], names), compatible_tags(version, interpreter, names))
    return [str(tag) for tag in found]


table = {
    "versions": VERSIONS,
    "normal": [str(Version(v)) for v in VERSIONS],
    "prerelease": [Version(v).is_prerelease for v in VERSIONS],
    "order": order(VERSIONS),
    "invalid": [v for v in INVALID if is_bad(Version, v, InvalidVersion)],
    "specifiers": {s: [v for v in VERSIONS if SpecifierSet(s).contains(v, prereleases=True)] for s in SPECIFIERS},
    "bad_specifiers": [s for s in BAD_SPECIFIERS if is_bad(SpecifierSet, s, InvalidSpecifier)],
    "tags": [{"python": p, "machine": m, "glibc": f"2.{g}", "tags": tags(p, m, g)} for p, m, g in TARGETS],
}
path = pathlib.Path(__file__).with_name("packaging.json")
path.write_text(json.dumps(table, ensure_ascii=False) + "\n")
