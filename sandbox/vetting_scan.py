"""What a script defines, gathered in one pass that does not recurse."""

import ast
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Scan:
    """Names that the script binds, and where."""

    nodes: int = 0
    depth: int = 0
    deepest: ast.AST | None = None
    words: set[str] = field(default_factory=set)  # every name, as the parser folds it
    bound: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)  # that its own classes give their objects
    classes: set[str] = field(default_factory=set)
    modules: dict[str, str] = field(default_factory=dict)  # alias to module
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)  # of the module level


def scan(tree: ast.Module) -> Scan:
    """Everything vetting must know about names before it judges the first one."""
    result = Scan()
    queue: deque[tuple[ast.AST, int]] = deque([(tree, 0)])
    while queue:
        node, depth = queue.popleft()
        result.nodes += 1
        if depth > result.depth:
            result.depth, result.deepest = depth, node if hasattr(node, "lineno") else None
        _note(result, node)
        result.words.update(_words(node))
        queue.extend((child, depth + 1) for child in ast.iter_child_nodes(node))
    result.classes -= result.bound  # a name that stands for something else, too
    result.bound |= result.classes
    result.functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return result


def _note(result: Scan, node: ast.AST) -> None:
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            result.bound.add(name)
        case ast.Attribute(attr=name, ctx=ast.Store()):
            result.attributes.add(name)
        case ast.FunctionDef(name=name):
            result.bound.add(name)
        case ast.ClassDef(name=name, body=body):
            result.classes.add(name)
            result.attributes.update(_members(body))
        case ast.ExceptHandler(name=str(name)):
            result.bound.add(name)
        case ast.Import(names=aliases):
            for alias in aliases:
                result.bound.add(alias.asname or alias.name)
                result.modules[alias.asname or alias.name] = alias.name
        case ast.ImportFrom(names=aliases):
            result.bound.update(alias.asname or alias.name for alias in aliases)


def _words(node: ast.AST) -> list[str]:
    """Every name that the node holds."""
    fields = (getattr(node, name, None) for name in ("id", "attr", "arg", "name", "asname"))
    return [name for name in fields if isinstance(name, str)] + _listed(node)


def _members(body: list[ast.stmt]) -> set[str]:
    names = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names


def _listed(node: ast.AST) -> list[str]:
    """Names of a global statement."""
    return node.names if isinstance(node, ast.Global | ast.Nonlocal) else []
