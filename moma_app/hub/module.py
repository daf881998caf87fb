"""A module: trained parameters for one task, on disk or in memory, with its card.

Tensor names start with ``backbone.`` (a full module), ``adapters.`` (an adapter module) and
``head.`` (the task's own readout, which AMC leaves out). Files are safetensors: loading one
from a stranger runs no code.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from moma_app.errors import DamagedFileError, IncompatibleError, InputError
from moma_app.files import atomic_write_text, lock_for, publish, sha256_of_file, temporary_file
from moma_app.hub.opening import open_tensors

if TYPE_CHECKING:  # a face lists modules without loading PyTorch
    import pandas as pd
    from torch import Tensor

    from moma_app.backbones.base import Backbone, Network
    from moma_app.hub.card import Card
    from moma_app.hub.reader import TensorReader

HEAD = "head."
HASH_GLOB = "[0-9a-f]" * 12
"""Pattern of the hash in a tensor file's name."""
PREFIX = {"full": "backbone.", "adapter": "adapters."}


@dataclass(frozen=True, eq=False)
class Module:
    """Trained parameters for one task.

    Attributes:
        card: what it is and where it came from.
        path: the safetensors file, or ``None`` for a module in memory.
        memory: the tensors of a module in memory.
    """

    card: Card
    path: Path | None = None
    memory: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return repr(self.card).replace("<Card ", "<Module ", 1)

    def _repr_html_(self) -> str:
        from moma_app.hub.display import module_html

        return module_html(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Return the learning curve, see :meth:`moma_app.hub.card.Card.to_dataframe`."""
        return self.card.to_dataframe()

    @property
    def name(self) -> str:
        """Name in the hub."""
        return self.card.name

    def names(self) -> list[str]:
        """Names of all tensors, sorted."""
        return self.reader().names()

    def iter_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Yield tensors as they are stored, one in memory at a time, those whose names start with ``prefix``.

        Raises:
            DamagedFileError: the file is missing, cut short or no safetensors file.
        """
        reader = self.reader()
        yield from ((name, reader.tensor(name)) for name in reader.names() if name.startswith(prefix))

    def tensor(self, name: str) -> Tensor:
        """Read one tensor as it is stored."""
        return self.reader().tensor(name)

    def reader(self) -> TensorReader:
        """Open the module's file, if it has one, for the reading of many tensors.

        Raises:
            DamagedFileError: the file is missing, cut short or no safetensors file.
        """
        from moma_app.hub.reader import FileReader, MemoryReader

        return MemoryReader(self.memory) if self.path is None else FileReader(self.path)

    @property
    def prefix(self) -> str:
        """Prefix of the tensors that AMC merges."""
        return PREFIX[self.card.kind]

    def parameters(self) -> dict[str, Tensor]:
        """Return the tensors that AMC merges (no head), named with their prefix; halves in float32."""
        from moma_app.hub.reader import widened

        return {name: widened(tensor) for name, tensor in self.iter_tensors(self.prefix)}

    def head(self) -> dict[str, Tensor]:
        """Return the head's tensors, named without their prefix; halves in float32."""
        from moma_app.hub.reader import widened

        return {name.removeprefix(HEAD): widened(tensor) for name, tensor in self.iter_tensors(HEAD)}

    def network(self, backbone: Backbone) -> Network:
        """Return the backbone's network with this module's parameters in place.

        Raises:
            IncompatibleError: the module was made for other pre-trained weights.
            DamagedFileError: tensors are missing, superfluous or of another shape.
        """
        self.check_backbone(backbone)
        try:
            return network_from(backbone, self.card.kind, dict(self.iter_tensors(self.prefix)))
        except RuntimeError as exc:
            raise DamagedFileError(f"Module {self.name!r} does not fit its backbone: {exc}") from exc

    def check_backbone(self, backbone: Backbone) -> None:
        """Raise ``IncompatibleError`` unless the module was made for this backbone's weights, or needs none."""
        right_weights = self.card.independent or self.card.fingerprint == backbone.fingerprint
        if self.card.backbone != backbone.info.name or not right_weights:
            raise IncompatibleError(
                f"Module {self.name!r} was made for {self.card.backbone} ({self.card.fingerprint or 'weights of its own'}), but this is "
                f"{backbone.info.name} ({backbone.fingerprint}): modules work only with the weights they started from."
            )

    def verify(self) -> None:
        """Compare the file with the card's size and SHA-256.

        Raises:
            DamagedFileError: they differ, or the file is missing or no safetensors file.
        """
        if self.path is None:
            return
        if not self.path.is_file():
            raise DamagedFileError(f"Module {self.name!r}: its file {self.path} is missing.")
        size = self.path.stat().st_size
        if size != self.card.size:
            raise DamagedFileError(
                f"Module {self.name!r}: {self.path} has {size:,} bytes where its card says {self.card.size:,}: "
                "fetch or train it again."
            )
        if sha256_of_file(self.path) != self.card.sha256:
            raise DamagedFileError(
                f"Module {self.name!r}: the content of {self.path} does not agree with the SHA-256 of its card: "
                "fetch or train it again."
            )
        open_tensors(self.path, "np")  # what has the right hash can still be no safetensors file

    def save(
        self,
        folder: Path,
        *,
        overwrite: bool = True,
        revise: Callable[[Card], AbstractContextManager[Card]] = nullcontext,
    ) -> Module:
        """Publish the module in a folder and return the stored one; a file is copied as it is.

        The tensor file is written first, under a name that contains its hash; replacing the
        card is the one step that publishes it. A reader sees the old module or the new one.

        Args:
            folder: where card and file go.
            overwrite: replace a module of the same name.
            revise: gets the card as it would be written, and gives, around its publication, the card
                that is written (:func:`moma_app.hub.releases.publishing` gives it a version).

        Raises:
            InputError: the folder has a module of that name, and ``overwrite`` is off.
            DamagedFileError: this module's own file does not agree with its card, or its card
                could not be read again once written (a number in it is not finite).
        """
        from moma_app.hub.card import parse_card

        self.verify()
        card_path = folder / f"{self.name}.json"
        folder.mkdir(parents=True, exist_ok=True)
        with lock_for(card_path), temporary_file(folder, self.name) as temporary:
            if not overwrite and card_path.exists():
                raise InputError(
                    f"The hub {folder} already has a module {self.name!r}: give another name, or allow overwriting."
                )
            self._write(temporary)
            digest = sha256_of_file(temporary)
            if self.path is not None and digest != self.card.sha256:
                raise DamagedFileError(
                    f"Module {self.name!r}: {self.path} changed while it was copied: try again."
                )
            target = folder / f"{self.name}-{digest[:12]}.safetensors"
            card = self.card.model_copy(
                update={"file": target.name, "sha256": digest, "size": temporary.stat().st_size}
            )
            with revise(card) as card:
                text = card.model_dump_json(indent=1) + "\n"
                parse_card(text, str(card_path))
                publish(temporary, target)
                atomic_write_text(card_path, text)
            for old in folder.glob(f"{self.name}-{HASH_GLOB}.safetensors"):
                if old != target:
                    old.unlink()
        return Module(card, target)

    def _write(self, file: Path) -> None:
        if self.path is not None:
            shutil.copyfile(self.path, file)
            return
        from safetensors.torch import save_file

        tensors = {name: tensor.contiguous() for name, tensor in self.memory.items()}
        save_file(tensors, file, metadata={"format": "pt"})


def network_from(backbone: Backbone, kind: str, tensors: Mapping[str, Tensor]) -> Network:
    """Return the backbone's network with a module's parameters (names with prefix) in place.

    The network computes in the type of its own tensors, float32: others are converted as they are copied.

    Raises:
        RuntimeError: tensors are missing, superfluous or of another shape.
    """
    from moma_app.backbones.adapters import attach_adapters

    network = backbone.pretrained()
    state = dict(tensors)
    if kind == "adapter":
        attach_adapters(network, backbone.info.width, backbone.info.n_layers)
        state = {**network.state(), **state}
    else:
        state = {name.removeprefix(PREFIX["full"]): tensor for name, tensor in state.items()}
    network.load_state_dict(state, strict=True)
    return network
