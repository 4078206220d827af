"""What the SGLang of this Python takes on its command line, as JSON on stdout: read from its own parser.

    python flags.py [--torchao]

--torchao also tells which names SGLang imports from TorchAO that the installed TorchAO does not have.
"""

import argparse
import ast
import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys


def version_of(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def flags_of(parser):
    return [
        {
            "names": [name for name in action.option_strings if name.startswith("-")],
            "choices": [str(choice) for choice in action.choices] if action.choices else None,
            "takes_value": action.nargs != 0,
        }
        for action in parser._actions
        if action.option_strings
    ]


def missing_torchao():
    """None: nothing is missing. Else what could not be imported: a module's or a name's path."""
    spec = importlib.util.find_spec("sglang.srt.layers.torchao_utils")
    if spec is None or spec.origin is None:
        return ["sglang.srt.layers.torchao_utils"]
    with open(spec.origin, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    wanted = next(
        (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "apply_torchao_config_to_model"),
        tree,
    )
    missing = []
    # Imports at the top of the function run for every configuration; those further in only for their own.
    for node in wanted.body:
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("torchao"):
            continue
        try:
            module = importlib.import_module(node.module)
        except Exception as error:
            missing.append(f"{node.module} ({type(error).__name__}: {error})"[:300])
            continue
        missing += [f"{node.module}.{alias.name}" for alias in node.names if not hasattr(module, alias.name)]
    return missing or None


def main():
    # What imports print must not get between the JSON.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from sglang.srt.server_args import ServerArgs

    parser = argparse.ArgumentParser()
    ServerArgs.add_cli_args(parser)
    facts = {
        "version": version_of("sglang"),
        "torchao": version_of("torchao"),
        "flags": flags_of(parser),
        "missing_torchao": missing_torchao() if "--torchao" in sys.argv[1:] else None,
    }
    json.dump(facts, answer)
    answer.write("\n")
    answer.close()


main()
