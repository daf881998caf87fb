"""A Bokeh figure as a widget that is quick where many of its properties change at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moma_app.widgets.toolkit import BokehModel


class Shown(BokehModel):  # type: ignore[misc]
    """A figure in the page.

    The page repeats every change that it is sent. What it repeats is not listened to: when it arrives the figure
    may have changed again, and would fall back to what it was. Only what the user does is.
    """

    def __init__(self, model: Any, **options: Any) -> None:
        self._held: list[Any] | None = None
        self._known: dict[tuple[str, str], Any] = {}
        super().__init__(model, **options)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send what changes inside the block as one message; what is in the end as it was is left out.

        HoloViews sets every property of a figure when its data change, some of them twice: of 140 changes ten are
        left, and the page repeats each of those.
        """
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held and (events := list(self._condensed(held))):
                self._post(events)

    def close(self) -> None:
        """Take the figure from the page; again, as Python does when it forgets it, that is nothing."""
        if self.comm is not None:
            super().close()

    def _document_patched(self, event: Any) -> None:
        if self._held is None:
            super()._document_patched(event)
        elif event.setter is not self:
            self._held.append(event)

    def _sync_model(self, model: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        if content.get("kind") == "MessageSent":
            super()._sync_model(model, content, buffers)

    def _condensed(self, events: Iterable[Any]) -> Iterator[Any]:
        """Yield the last event of each property that is now another than the page knows."""
        from bokeh.document.events import ColumnDataChangedEvent, ModelChangedEvent

        last: dict[Any, Any] = {}
        for number, event in enumerate(events):
            changes = isinstance(event, ModelChangedEvent | ColumnDataChangedEvent)
            key = (event.model.id, event.attr) if changes else number
            last.pop(key, None)  # its place is that of its last event
            last[key] = event
        for key, event in last.items():
            if isinstance(event, ColumnDataChangedEvent):
                event.cols = None  # all of them: earlier events may have had others
            elif isinstance(event, ModelChangedEvent):
                if key in self._known and _same(self._known[key], event.new):
                    continue
                self._known[key] = event.new
            yield event

    def _post(self, events: list[Any]) -> None:
        """Send events as the parent class sends one."""
        from bokeh.protocol import Protocol

        message = Protocol().create("PATCH-DOC", events)
        for part in (message.header_json, message.metadata_json, message.content_json):
            self.send({"msg": "patch", "payload": part})
        for buffer in message.buffers:
            self.send({"msg": "patch", "payload": json.dumps(buffer.ref)})
            self.send({"msg": "patch"}, [buffer.to_bytes()])


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except ValueError:  # arrays
        return False
