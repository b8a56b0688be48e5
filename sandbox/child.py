"""The process that holds one script: locks itself down, then answers until it is killed."""

import ast
import faulthandler
import mmap
import os
import signal
import sys
import types
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np
import orjson

from sandbox import lockdown
from sandbox.builder import build_graph
from sandbox.errors import BadScript
from sandbox.gathered import error_text, plain, script_line
from sandbox.language import Program
from sandbox.limits import Limits
from sandbox.vetting import FILENAME, vetted_code
from sandbox.wire import (
    CELL_BYTES,
    FIXED_COLUMNS,
    REQUEST_BYTES,
    TEXT_CHARS_MAX,
    Op,
    Reply,
    Request,
    Status,
)

CONTROL: Final = 0  # the socket to the worker is descriptor 0; 1 and 2 are the traceback pipe
HIGHEST_DESCRIPTOR: Final = 4_096


@dataclass(frozen=True)
class Spawn:
    """What a child needs to know before it locks itself down."""

    zygote_pid: int
    memory_bytes: int
    inbound_bytes: int
    outbound_bytes: int
    landlock_required: bool


def child_main(spawn: Spawn, descriptors: Sequence[int]) -> NoReturn:
    """Never returns. `descriptors`: control socket, traceback pipe, inbound and outbound memory."""
    try:
        inbound, outbound = _enter(spawn, descriptors)
        Child(inbound, outbound).serve()
    except BaseException as error:  # noqa: BLE001  # the last words of a process
        os.write(2, error_text(error).encode("ascii", "replace"))
    os._exit(0)


def _enter(spawn: Spawn, descriptors: Sequence[int]) -> tuple[mmap.mmap, mmap.mmap]:
    control, complaints, inbound_fd, outbound_fd = descriptors
    os.setsid()
    inbound = mmap.mmap(inbound_fd, spawn.inbound_bytes, prot=mmap.PROT_READ)
    outbound = mmap.mmap(outbound_fd, spawn.outbound_bytes)
    os.dup2(control, 0)
    os.dup2(complaints, 1)
    os.dup2(complaints, 2)
    os.closerange(3, HIGHEST_DESCRIPTOR)  # also the copies that the maps keep
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)  # the end, whatever the worker came with
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=False, chain=False)
    lockdown.lock_down(
        spawn.zygote_pid,
        memory_bytes=spawn.memory_bytes,
        landlock_required=spawn.landlock_required,
    )
    return inbound, outbound


class Child:
    """Answers requests one after the other."""

    def __init__(self, inbound: mmap.mmap, outbound: mmap.mmap) -> None:
        self.inbound, self.outbound = inbound, outbound
        self.program: Program | None = None
        self.limits = Limits()

    def serve(self) -> None:
        """Answer until the worker closes its end."""
        while True:
            raw = os.read(CONTROL, REQUEST_BYTES)
            if not raw:
                return
            request = Request.unpack(raw)
            try:
                reply = self._answer(request)
            except BaseException as error:  # noqa: BLE001  # a stranger's code may raise anything
                told = {"error": error_text(error), "line": script_line(error)}
                reply = self._json(request, Status.REFUSED, told)
            os.write(CONTROL, reply.pack())

    def _answer(self, request: Request) -> Reply:
        if request.op == Op.RUN:
            return self._run(request)
        content = orjson.loads(self.inbound[: request.length])
        match request.op:
            case Op.LOAD:
                return self._load(request, content)
            case Op.OPEN:
                for slot, symbol, capsule in content:
                    self._loaded().open(slot, symbol, capsule)
                return self._json(request, Status.DONE, None)
            case Op.SAVE:
                saved = [[slot, self._loaded().save(slot)] for slot in content]
                return self._json(request, Status.DONE, saved)
        raise BadScript(f"no such request {request.op}")

    def _loaded(self) -> Program:
        if self.program is None:
            raise BadScript("no script is loaded")
        return self.program

    def _json(self, request: Request, status: Status, content: Any, rows: int = 0) -> Reply:
        blob = b"" if content is None else _dumps(content)
        start = rows * CELL_BYTES
        if start + len(blob) > len(self.outbound):
            blob = _dumps({"error": "output is too long (limit output_bytes_max)", "line": 0})
            status, rows, start = Status.REFUSED, 0, 0
        self.outbound[start : start + len(blob)] = blob
        return Reply(request.op, status, request.sequence, rows, len(blob))

    # --- LOAD

    def _load(self, request: Request, content: dict[str, Any]) -> Reply:
        limits = self.limits = Limits(**content["limits"])
        source, vetted = content["source"], content["vetted"]
        answer: dict[str, Any] = {}
        code: types.CodeType | None
        if vetted:
            report, code = vetted_code(source, limits)
            answer["report"] = report.as_json()
            if code is None:
                return self._json(request, Status.REFUSED, answer)
            style: str = report.style
        else:
            code, style = _unvetted(source)
        program = Program(code, params=content["params"], limits=limits, vetted=vetted)
        answer["style"] = style
        if style == "declarative":
            answer["graph"] = build_graph(
                program.namespace()["build"],
                nodes_max=limits.graph_nodes_max,
                params=content["params"],
                outputs_max=limits.outputs_max,
            )
        else:
            program.open(-1, "")  # a rehearsal: module level and init() must work
            program.instruments.clear()
        self.program = program
        return self._json(request, Status.DONE, answer)

    # --- RUN

    def _run(self, request: Request) -> Reply:
        program, rows = self._loaded(), request.rows
        columns = FIXED_COLUMNS + request.values
        whole = np.frombuffer(self.inbound, np.int64, 2 * rows).reshape(2, rows)
        parts = np.frombuffer(
            self.inbound, np.float64, (columns - 2) * rows, offset=2 * rows * CELL_BYTES
        ).reshape(columns - 2, rows)
        end = columns * rows * CELL_BYTES
        names = orjson.loads(self.inbound[end : end + request.length] or b"[]")
        bars = list(zip(*parts[:5].tolist(), strict=True))
        values = None
        if names:
            values = [
                dict(zip(names, row, strict=True))
                for row in zip(*parts[5:].tolist(), strict=True)
            ]  # fmt: skip
        results = program.run(whole[0].tolist(), whole[1].tolist(), bars, values)
        events = results.events()
        blob = _dumps(events) if events else b""
        if len(blob) > self.limits.output_bytes_max:
            blob = _dumps({"limits": ["output_bytes_max"], "errors_total": results.errors_total})
        numbers = results.numbers.tobytes()
        self.outbound[: len(numbers)] = numbers
        self.outbound[len(numbers) : len(numbers) + len(blob)] = blob
        return Reply(request.op, Status.DONE, request.sequence, rows, len(blob))


def _unvetted(source: str) -> tuple[types.CodeType, str]:
    """Code as it stands: only to test the walls behind vetting."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source, FILENAME)
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        style = "declarative" if "build" in names else "imperative"
        return compile(tree, FILENAME, "exec", 0, True), style


def _dumps(content: Any) -> bytes:
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError as error:  # only unvetted code gets this far
        text = plain(f"output cannot be sent: {error}"[:TEXT_CHARS_MAX])
        return orjson.dumps({"errors": [[0, 0, text]], "errors_total": 1})


def prepare() -> None:
    """What the zygote does once, so that a child needs no file: imports, quiet numpy, no stdin."""
    np.seterr(all="ignore")
    warnings.simplefilter("ignore")
    sys.stdin = sys.stdout = None
