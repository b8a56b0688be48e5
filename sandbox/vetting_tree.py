"""The allow-list walk: RestrictedPython's checks, native nodes where they were purely static.

RestrictedPython refuses what it does not know; its run-time guards are kept only where the
answer depends on the object: reading a name that foreign objects have too, and writing
attributes of anything but `self`.
"""

# ruff: noqa: D102, N802  # visitors are named and called by the base class

import ast
import difflib
from collections.abc import Callable, Collection
from typing import Any

from RestrictedPython.transformer import INSPECT_ATTRIBUTES, RestrictingNodeTransformer

from sandbox.names import API, BAR, BUILTINS, MODULES, SAFE_ATTRIBUTES, foreign_attributes
from sandbox.vetting_constants import (
    INTEGER_BITS_MAX,
    REPEAT_MAX,
    bomb,
    integer,
    wide_format,
)
from sandbox.vetting_scan import Scan

Refuse = Callable[[str, ast.AST, str], None]
Visited = Any  # a node, several, or none: what a NodeTransformer may answer
HINTS_MAX = 20
_PHRASES = {
    'starts with "_"': "underscore",
    "reserved name": "reserved",
    "restricted name": "attribute",
    "imports are not allowed": "import",
    "statements are not allowed": "statement",
}


class ScriptTransformer(RestrictingNodeTransformer):
    """Refuses what scripts may not do and returns the tree to compile."""

    def __init__(self, names: Scan, refuse: Refuse) -> None:
        super().__init__()
        self.names, self.refuse = names, refuse
        self.known = BUILTINS | API | names.bound
        self.foreign = {"bar", "state", "ta"} | set(names.modules) | API
        for entry in ("on_bar", "build"):
            if entry in names.functions:
                arguments = names.functions[entry].args
                self.foreign |= {item.arg for item in arguments.posonlyargs + arguments.args}
        on_bar = names.functions.get("on_bar")
        self.bar = on_bar.args.args[0].arg if on_bar is not None and on_bar.args.args else "bar"
        self.declarative = "build" in names.functions
        self.own: list[frozenset[str]] = [frozenset()]  # names that stand for `self`, by scope
        self.in_class = False
        self.hints = 0

    # --- how RestrictedPython reports

    def error(self, node: ast.AST, info: str) -> None:
        rule = next((rule for phrase, rule in _PHRASES.items() if phrase in info), "restricted")
        self.refuse(rule, node, info.rstrip("."))

    def _near(self, name: str, names: Collection[str]) -> str:
        """The nearest names; only for the first few, because the search is slow."""
        self.hints += 1
        close = difflib.get_close_matches(name[:40], names, n=2) if self.hints <= HINTS_MAX else []
        return f"; did you mean {' or '.join(sorted(close))}" if close else ""

    # --- names and attributes

    def visit_Name(self, node: ast.Name) -> Visited:
        if not isinstance(node.ctx, ast.Load):
            return super().visit_Name(node)
        if node.id.startswith("_") and node.id != "_":
            self.check_name(node, node.id)
        elif node.id not in self.known:
            near = self._near(node.id, self.known)
            self.refuse("name", node, f"Unknown name {node.id!r}{near}")
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Visited:
        name, base = node.attr, node.value
        context = node.ctx
        visited: Visited = super().visit_Attribute(node)
        if isinstance(context, ast.Store):
            return self._stored(visited, base)
        if isinstance(context, ast.Del):
            self.refuse("statement", node, f"Deleting attribute {name!r}")
            return visited
        if name.startswith("_") or name in INSPECT_ATTRIBUTES:
            return visited  # refused above
        self._check_read(node, base)
        if name in SAFE_ATTRIBUTES or name not in foreign_attributes():
            return ast.copy_location(ast.Attribute(node.value, name, ast.Load()), node)
        return visited

    def _readable(self, name: str) -> bool:
        """Names of its own objects, and in build() any name that only ta's nodes can have."""
        if name in SAFE_ATTRIBUTES or name in self.names.attributes:
            return True
        return self.declarative and name not in foreign_attributes()

    def _check_read(self, node: ast.Attribute, base: ast.expr) -> None:
        """Refuse a name that scripts may not read; warn where only this module lacks it."""
        name, owner = node.attr, base.id if isinstance(base, ast.Name) else ""
        readable = self._readable(name)
        module = self.names.modules.get(owner, "")
        if module in MODULES and name not in MODULES[module]:
            near = self._near(name, MODULES[module])
            rule = "facade" if readable else "attribute"
            self.refuse(rule, node, f"Scripts have no {module}.{name}{near}")
        elif not readable:
            known = BAR if owner == self.bar else SAFE_ATTRIBUTES | self.names.attributes
            near = self._near(name, known)
            self.refuse("attribute", node, f"Attribute {name!r}{near}")

    def _stored(self, visited: ast.Attribute, base: ast.expr) -> ast.Attribute:
        root = base
        while isinstance(root, ast.Attribute | ast.Subscript | ast.Call):
            root = root.func if isinstance(root, ast.Call) else root.value
        name = root.id if isinstance(root, ast.Name) else None
        if name in self.own[-1] and root is base and visited.attr not in foreign_attributes():
            visited.value = base
        elif name is None or name in self.foreign or name in BUILTINS:
            self.refuse("foreign-write", visited, f"Writing attribute {visited.attr!r}")
        return visited

    def visit_Subscript(self, node: ast.Subscript) -> Visited:
        return self.node_contents_visit(node)  # no reachable object is shared, so items are free

    def visit_keyword(self, node: ast.keyword) -> Visited:
        self.check_name(node, node.arg)
        return self.node_contents_visit(node)

    # --- iteration, calls, assignment: native

    def guard_iter(self, node: ast.For | ast.comprehension) -> Visited:
        if isinstance(node, ast.comprehension) and node.is_async:
            self.refuse("statement", node.target, "Async comprehension")
        return self.node_contents_visit(node)

    def visit_Call(self, node: ast.Call) -> Visited:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name == "range" and any((integer(item) or 0) > REPEAT_MAX for item in node.args):
            self.refuse("constant", node, f"A range of more than {REPEAT_MAX} steps")
        visited: Visited = super().visit_Call(node)
        if isinstance(visited.func, ast.Name) and visited.func.id == "_apply_":
            visited.func = visited.args.pop(0)
        return visited

    def visit_Assign(self, node: ast.Assign) -> Visited:
        return self.node_contents_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Visited:
        return self.node_contents_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Visited:
        """The annotation is checked and dropped, so that it is never evaluated."""
        self.visit(node.annotation)
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        assign = ast.Assign([self.visit(node.target)], self.visit(node.value))
        return ast.copy_location(assign, node)

    def visit_Global(self, node: ast.Global) -> Visited:
        for name in node.names:
            self.check_name(node, name)
        return node

    # --- imports become facades

    def visit_Import(self, node: ast.Import) -> Visited:
        super().visit_Import(node)
        assigns = []
        for alias in node.names:
            if alias.name not in MODULES:
                self._refuse_module(node, alias.name)
            target = ast.Name(alias.asname or alias.name, ast.Store())
            assigns.append(ast.Assign([target], _facade(alias.name)))
        return [ast.copy_location(assign, node) for assign in assigns]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Visited:
        super().visit_ImportFrom(node)
        module = node.module or ""
        if node.level or module not in MODULES:
            self._refuse_module(node, "." * node.level + module)
            return node
        assigns = []
        for alias in node.names:
            if alias.name not in MODULES[module]:
                near = self._near(alias.name, MODULES[module])
                self.refuse("import", node, f"Scripts have no {module}.{alias.name}{near}")
            target = ast.Name(alias.asname or alias.name, ast.Store())
            value = ast.Attribute(_facade(module), alias.name, ast.Load())
            assigns.append(ast.Assign([target], value))
        return [ast.copy_location(assign, node) for assign in assigns]

    def _refuse_module(self, node: ast.AST, module: str) -> None:
        self.refuse("import", node, f"Module {module!r}; scripts have {', '.join(MODULES)}")

    # --- definitions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Visited:
        arguments = node.args.posonlyargs + node.args.args
        names = {item.arg for item in arguments + node.args.kwonlyargs}
        own = self.own[-1] - names
        if self.in_class and arguments:
            own |= {arguments[0].arg}
        if node.decorator_list:
            self.refuse("class", node.decorator_list[0], "Decorator")
        self.own.append(own)
        was_in_class, self.in_class = self.in_class, False
        visited: Visited = super().visit_FunctionDef(node)
        self.in_class = was_in_class
        self.own.pop()
        visited.returns = None
        return visited

    def visit_arg(self, node: ast.arg) -> Visited:
        visited: Visited = super().visit_arg(node)
        visited.annotation = None
        return visited

    def visit_ClassDef(self, node: ast.ClassDef) -> Visited:
        self.check_name(node, node.name)
        for base in node.bases:
            if not isinstance(base, ast.Name) or base.id not in self.names.classes:
                self.refuse("class", base, "A base class that the script does not define")
        if node.keywords or node.decorator_list:
            self.refuse("class", node, "Class keyword or decorator")
        was_in_class, self.in_class = self.in_class, True
        visited = self.node_contents_visit(node)
        self.in_class = was_in_class
        return visited

    # --- statements with a rule of their own

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Visited:
        if node.type is None:
            self.refuse("exception", node, "A bare except")
        return super().visit_ExceptHandler(node)

    def visit_While(self, node: ast.While) -> Visited:
        if isinstance(node.test, ast.Constant) and node.test.value and not _leaves(node.body):
            self.refuse("endless", node, "An endless loop")
        return super().visit_While(node)

    def visit_With(self, node: ast.With) -> Visited:
        self.not_allowed(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> Visited:
        self.not_allowed(node)

    def visit_TemplateStr(self, node: ast.AST) -> Visited:
        self.not_allowed(node)

    # --- constants

    def visit_Constant(self, node: ast.Constant) -> Visited:
        if type(node.value) is int and node.value.bit_length() > INTEGER_BITS_MAX:
            self.refuse("constant", node, f"A literal of {node.value.bit_length()} bits")
        return super().visit_Constant(node)

    def visit_BinOp(self, node: ast.BinOp) -> Visited:
        seen = bomb(node)
        if seen:
            self.refuse("constant", node, seen)
        left = node.left.value if isinstance(node.left, ast.Constant) else None
        if isinstance(node.op, ast.Mod) and isinstance(left, str):
            wide = "*" if "*" in left else wide_format(left)
            if wide:
                self.refuse("format", node, f"Format width {wide}")
        return super().visit_BinOp(node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> Visited:
        if isinstance(node.format_spec, ast.JoinedStr):
            parts = node.format_spec.values
            if not all(isinstance(part, ast.Constant) for part in parts):
                self.refuse("format", node, "A format width worked out at run time")
            text = "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
            wide = wide_format(text)
            if wide:
                self.refuse("format", node, f"Format width {wide}")
        return super().visit_FormattedValue(node)


def _facade(module: str) -> ast.Call:
    return ast.Call(ast.Name("_facade_", ast.Load()), [ast.Constant(module)], [])


def _leaves(body: list[ast.stmt]) -> bool:
    """True if the loop over `body` can be left: a break of its own, a return, a raise, a yield."""
    pending: list[tuple[ast.AST, bool]] = [(node, True) for node in body]
    while pending:
        node, own = pending.pop()
        if isinstance(node, ast.Return | ast.Raise | ast.Yield) or (
            own and isinstance(node, ast.Break)
        ):
            return True
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        inner = own and not isinstance(node, ast.For | ast.While)
        pending.extend((child, inner) for child in ast.iter_child_nodes(node))
    return False
