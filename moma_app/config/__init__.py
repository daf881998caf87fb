"""One typed configuration: defaults, files (``moma.toml``), environment (``MOMA_…``), flags, overrides.

Each is stronger than those before it. ``get_settings()`` gives the settings of the moment,
``override({...})`` changes them for a block of code in all threads, ``explain_settings()`` says
where each value came from.
"""

from __future__ import annotations

from moma_app.config.current import (
    Resolved,
    get_settings,
    override,
    resolve,
    set_flags,
    settings_as_dict,
    settings_environment,
    source_of,
)
from moma_app.config.explain import Explained, explain_settings, file_template
from moma_app.config.settings import Settings
from moma_app.config.surroundings import ConfigFile, config_files, user_config_file

__all__ = [
    "ConfigFile",
    "Explained",
    "Resolved",
    "Settings",
    "config_files",
    "explain_settings",
    "file_template",
    "get_settings",
    "override",
    "resolve",
    "set_flags",
    "settings_as_dict",
    "settings_environment",
    "source_of",
    "user_config_file",
]
