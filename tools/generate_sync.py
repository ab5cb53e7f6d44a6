"""Makes the methods of the synchronous client from those of the asynchronous one.

`python tools/generate_sync.py [OUT]` writes modules `sync_*.py` into OUT
(default: `clients/inventory_client`). Signatures and docstrings are the
asynchronous ones; a body runs the asynchronous method in the loop's thread.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "clients" / "inventory_client"
SOURCES = {
    "stock_calls": "StockCalls",
    "hold_calls": "HoldCalls",
    "availability_calls": "AvailabilityCalls",
    "catalog_calls": "CatalogCalls",
    "open_hold": "AsyncOpenHold",
}
RENAMED = {
    "AsyncPager": "Pager",
    "AsyncWatch": "Watch",
    "AsyncOpenHold": "OpenHold",
    "AsyncIterator": "Iterator",
}
"""Types of the asynchronous surface, and what stands in their place."""
INTERNAL = {"send_place_hold"}
HEAD = '''"""{name} for code without an event loop.

Made by tools/generate_sync.py from {source}.py: change that one.
"""

from __future__ import annotations
from inventory_client.blocking import Pager, SyncCalls, Watch, iterate
from inventory_client.loop_thread import LoopThread
from inventory_client.sync_open_hold import OpenHold
from collections.abc import Iterator
from types import TracebackType
from typing import Self
'''
OPEN_HOLD = '''
class OpenHold:
    """As AsyncOpenHold: {doc}"""

    def __init__(self, thread: LoopThread, hold: AsyncOpenHold) -> None:
        self._thread = thread
        self._hold = hold

    def __enter__(self) -> Self:
        self._thread.run(self._hold.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._thread.run(self._hold.__aexit__(kind, error, at))
'''


class _Renaming(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(RENAMED.get(node.id, node.id), node.ctx)


def generate(out: Path) -> None:
    """Writes a module for each of SOURCES."""
    for source, name in SOURCES.items():
        text = _module(source, name)
        text = _ruff("check", "--quiet", "--fix-only", "--select", "F401,F811,I", text=text)
        (out / f"sync_{source}.py").write_text(_ruff("format", text=text), "utf-8")


def _module(source: str, name: str) -> str:
    tree = ast.parse((PACKAGE / f"{source}.py").read_text("utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    imports = [
        ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom) and ast.unparse(node) not in HEAD
    ]
    doc = ast.get_docstring(found, clean=False)
    is_hold = name == "AsyncOpenHold"
    if is_hold:
        head = HEAD.replace("from inventory_client.sync_open_hold import OpenHold\n", "")
        imports.append("from inventory_client.open_hold import AsyncOpenHold")
        begin = OPEN_HOLD.format(doc=doc)
    else:
        head = HEAD
        begin = f'\nclass Sync{name}(SyncCalls):\n    """{doc}"""\n'
    owner = "self._hold" if is_hold else "self._client"
    methods = [
        _method(node, owner)
        for node in found.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and node.name not in INTERNAL
    ]
    return head.format(name=name, source=source) + "\n".join((*imports, begin, *methods))


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str) -> str:
    arguments, returns = node.args, ast.unparse(node.returns or ast.Constant(None))
    if any(ast.unparse(decorator) == "property" for decorator in node.decorator_list):
        call = f"{owner}.{node.name}"
    else:
        given = [argument.arg for argument in arguments.args[1:]]
        given += [f"{argument.arg}={argument.arg}" for argument in arguments.kwonlyargs]
        call = f"{owner}.{node.name}({', '.join(given)})"
        call = _adapted(call, returns, is_async=isinstance(node, ast.AsyncFunctionDef))
    sync = ast.FunctionDef(
        name=node.name,
        args=arguments,
        body=[
            ast.Expr(ast.Constant(ast.get_docstring(node, clean=False))),
            ast.parse(f"return {call}").body[0],
        ],
        decorator_list=node.decorator_list,
        returns=node.returns,
        lineno=0,
    )
    text = ast.unparse(ast.fix_missing_locations(_Renaming().visit(sync)))
    return "\n" + "\n".join(f"    {line}" if line else "" for line in text.splitlines())


def _adapted(call: str, returns: str, *, is_async: bool) -> str:
    """The call as one that waits, by what the asynchronous method answers."""
    kind = returns.partition("[")[0]
    if kind == "AsyncIterator":
        return f"iterate(self._thread, {call})"
    if kind in RENAMED:
        return f"{RENAMED[kind]}(self._thread, {call})"
    return f"self._thread.run({call})" if is_async else call


def _ruff(*arguments: str, text: str) -> str:
    ruff = Path(sys.executable).parent / "ruff"
    command = [str(ruff), *arguments, "--stdin-filename", str(PACKAGE / "sync_calls.py"), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"ruff refused:\n{done.stderr}\n{text}")
    return done.stdout


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
