"""One typed configuration: defaults, then environment (``MOMA_...``), then arguments."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_cache_path
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from moma_app.choices import Device, Kernel, Precision
from moma_app.errors import InputError


class Settings(BaseSettings):
    """Where things lie and what they run on.

    Every field can be set in the environment with the prefix ``MOMA_``, for example
    ``MOMA_HOME=/scratch/moma`` or ``MOMA_DATA=/data/one:/data/two``. An empty variable counts
    as one that is not set.
    """

    model_config = SettingsConfigDict(env_prefix="MOMA_", env_ignore_empty=True, extra="forbid", frozen=True)

    home: Path = Field(
        default_factory=lambda: user_cache_path("moma"),
        description="Folder of everything MoMa writes on its own: data cache, hub, predictors.",
    )
    data: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="Folders searched for task data before the cache, in this order."
    )
    hub: Path | None = Field(
        default=None, description="Folder of the user's hub; by default hub/ under home."
    )
    device: Device = Field(default="auto", description="Where networks run.")
    precision: Precision = Field(
        default="fp32",
        description="Arithmetic on a CUDA GPU: tf32 and bf16 are faster and less exact. A CPU always uses fp32.",
    )
    kernel: Kernel = Field(
        default="auto",
        description="What computes messages on a CPU: kernels built by the machine's C compiler, or PyTorch; "
        "auto takes PyTorch where there is no compiler.",
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads; by default all.")

    @field_validator("data", mode="before")
    @classmethod
    def _split_search_path(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(Path(part).expanduser() for part in value.split(os.pathsep) if part)
        return value

    @field_validator("home", "hub", mode="after")
    @classmethod
    def _expand_user(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser()

    @property
    def cache_folder(self) -> Path:
        """Folder of downloaded and imported task data (same layout as a data folder)."""
        return self.home / "data"

    @property
    def graph_folder(self) -> Path:
        """Folder of packed graph files, keyed by content."""
        return self.home / "graphs"

    @property
    def hub_folder(self) -> Path:
        """Folder of the user's own hub."""
        return self.hub if self.hub is not None else self.home / "hub"

    @property
    def data_folders(self) -> tuple[Path, ...]:
        """All folders that are searched for task data: the user's, then the cache."""
        return (*self.data, self.cache_folder)


@cache
def _settings_for(_environment: tuple[tuple[str, str], ...]) -> Settings:
    return Settings()


def get_settings() -> Settings:
    """Return the settings of the present environment (read anew when it changes).

    Raises:
        InputError: a variable has a value that cannot be used.
    """
    homes = ("HOME", "XDG_CACHE_HOME")  # on these the default folder depends
    relevant = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith("MOMA_") or k in homes))
    try:
        return _settings_for(relevant)
    except ValidationError as exc:
        first = exc.errors()[0]
        variable = "MOMA_" + str(first["loc"][0]).upper()
        raise InputError(
            f"The environment variable {variable} cannot be {first['input']!r}: {first['msg']}."
        ) from exc
