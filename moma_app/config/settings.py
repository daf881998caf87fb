"""The settings themselves: names, types, defaults, what each is for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from platformdirs import user_cache_path
from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from moma_app.choices import Device, Engine, Kernel, LogLevel, Precision
from moma_app.config.places import SQLITE, anchor
from moma_app.config.surroundings import gather, look_around, values_of


class Settings(BaseSettings):
    """Where things lie and what they run on.

    ``get_settings()`` returns the settings of the moment. Arguments of the constructor are stronger
    than all other sources. Paths are absolute, whatever was given.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    home: Path = Field(
        default_factory=lambda: user_cache_path("moma"),
        description="Folder of everything MoMa writes on its own: data cache, hub, runs.",
    )
    data: tuple[Path, ...] = Field(
        default=(),
        description="Folders searched for task data before the cache, in this order; by default none.",
        examples=[["/data/one", "/data/two"]],
    )
    hub: Path | None = Field(
        default=None,
        description="Folder of your hub; by default hub/ under home.",
        examples=["/group/hub"],
    )
    device: Device = Field(
        default="auto",
        description="Where networks run: auto takes a CUDA GPU if there is one; cpu, cuda, mps.",
    )
    precision: Precision = Field(
        default="fp32",
        description="Arithmetic on a CUDA GPU: tf32 and bf16 are faster and less exact than fp32. "
        "A CPU always uses fp32.",
    )
    kernel: Kernel = Field(
        default="auto",
        description="What computes messages on a CPU: native (kernels built by the machine's C compiler) or "
        "torch; auto takes torch where there is no compiler.",
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads; by default all.", examples=[4])
    engine: Engine = Field(
        default="local",
        description="Where long work runs: local (worker processes, or the cluster that scheduler names) or "
        "inline (the process that asks for it).",
    )
    scheduler: str | None = Field(
        default=None,
        description="A running Dask cluster: its address, or the path of its scheduler file; by default "
        "workers of this machine.",
        examples=["tcp://host:8786"],
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        description="Local worker processes; by default one for each GPU, else one.",
        examples=[2],
    )
    idle_minutes: float = Field(
        default=10.0, gt=0, description="Local workers end after so many minutes without work."
    )
    tracking: str | None = Field(
        default=None,
        description="MLflow tracking URI of the runs; by default the file runs.db under home.",
        examples=["http://host:5000"],
    )
    log_level: LogLevel = Field(
        default="info", description="What a run's log file holds: debug, info, warning, error."
    )

    @field_validator("home", "hub", "data", "tracking", "scheduler", mode="before")
    @classmethod
    def _absolute(cls, value: Any, info: ValidationInfo) -> Any:
        return anchor(info.field_name or "", value)

    @field_validator("threads", "workers", "idle_minutes", mode="before")
    @classmethod
    def _a_switch_is_no_number(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("Input should be a number")  # noqa: TRY004 - pydantic expects it
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's own sources are not used
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take our own sources, which know where each value came from, in place of pydantic's."""
        return init_settings, _Surroundings(settings_cls)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Make settings of these values and the defaults alone; no file and no variable is read.

        Raises:
            ValidationError: a value cannot be used.
        """
        settings = cls.__new__(cls)
        BaseModel.__init__(settings, **values)  # past the constructor, which reads all sources
        return settings

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
    def hubs_folder(self) -> Path:
        """Folder of the hubs that have a name, each a folder in it."""
        return self.home / "hubs"

    @property
    def data_folders(self) -> tuple[Path, ...]:
        """All folders that are searched for task data: the user's, then the cache."""
        return (*self.data, self.cache_folder)

    @property
    def runs_folder(self) -> Path:
        """Folder of what runs leave behind: logs, checkpoints, results."""
        return self.home / "runs"

    @property
    def tracking_uri(self) -> str:
        """Where runs are recorded, in MLflow's words."""
        return self.tracking or f"{SQLITE}{self.home / 'runs.db'}"


KEYS = tuple(Settings.model_fields)
"""Names of all settings, in the order in which they are shown."""


class _Surroundings(PydanticBaseSettingsSource):
    """Files, environment, flags and overrides, as the constructor of ``Settings`` reads them."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: all values come at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return values_of(gather(look_around(), KEYS))
