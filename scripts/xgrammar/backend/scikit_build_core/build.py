"""Stands in for the package's build backend, so that `pip download` keeps the archive without building anything of it."""

import os


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    name = f"xgrammar-{os.environ['JSG_XGRAMMAR_VERSION']}.dist-info"
    folder = os.path.join(metadata_directory, name)
    os.makedirs(folder)
    with open(os.path.join(folder, "METADATA"), "w", encoding="utf-8") as file:
        file.write(f"Metadata-Version: 2.1\nName: xgrammar\nVersion: {os.environ['JSG_XGRAMMAR_VERSION']}\n")
    return name
