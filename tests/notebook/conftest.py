"""Kernels for the notebook tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

TIMEOUT = 240


@dataclass
class Cell:
    """What came of running a cell: its messages, by type and content, in order."""

    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [content for name, content in self.messages if name == kind]

    @property
    def result(self) -> dict[str, str]:
        """The mime bundle of the cell's value; empty where it has none."""
        results = self.of("execute_result")
        return dict(results[0]["data"]) if results else {}

    @property
    def text(self) -> str:
        return self.result.get("text/plain", "")

    @property
    def printed(self) -> str:
        return "".join(content["text"] for content in self.of("stream"))

    @property
    def error(self) -> dict[str, Any] | None:
        return next(iter(self.of("error")), None)


class Kernel:
    """A real kernel, driven by the protocol that every front end speaks."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def execute(self, code: str, *, interrupt_after: float | None = None) -> Cell:
        """Run a cell, or interrupt it so long after it began, and wait until the kernel is idle again."""
        cell = Cell()
        sent = self.client.execute(code)
        deadline, due = time.monotonic() + TIMEOUT, float("inf")
        while True:
            assert time.monotonic() < deadline, "the cell does not end"
            if time.monotonic() > due:
                self.manager.interrupt_kernel()
                due = float("inf")
            try:
                message = self.client.get_iopub_msg(timeout=0.1)
            except Exception as error:
                if type(error).__name__ != "Empty":
                    raise
                continue
            if message["parent_header"].get("msg_id") != sent:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
            if message["msg_type"] == "execute_input" and interrupt_after is not None:
                due = time.monotonic() + interrupt_after
            cell.messages.append((message["msg_type"], message["content"]))
        while self.client.get_shell_msg(timeout=TIMEOUT)["parent_header"].get("msg_id") != sent:
            pass
        return cell

    def run(self, code: str) -> Cell:
        """Run a cell that is to succeed."""
        cell = self.execute(code)
        assert cell.error is None, "\n".join(cell.error["traceback"])
        return cell

    def complete(self, code: str) -> list[str]:
        """Ask for completions at the end of a cell; return them with what they replace."""
        reply = self.client.complete(code, len(code), reply=True, timeout=TIMEOUT)["content"]
        assert reply["status"] == "ok"
        return list(reply["matches"])


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel in an empty folder, with the extension loaded."""
    folder: Path = tmp_path_factory.mktemp("notebook")
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(folder), startup_timeout=TIMEOUT)
    try:
        kernel = Kernel(manager, client)
        kernel.run("%load_ext workbench")
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
