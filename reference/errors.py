"""The page of errors: every message that the code may give a user, as its template."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from reference.markdown import WRITTEN, table

KINDS = ("UserError", "MachineError", "DivergedError", "SettingError")

INTRODUCTION = f"""{WRITTEN}
# Errors

Every error that a user can cause, as it stands in the code. On the screen it is one line:

```text
error: WHERE: PROBLEM; REMEDY
```

*Where* is the file, and the key or the item inside it; "–" stands for the key that was being read.
A part in braces, such as `{{path}}`, is filled in when the error happens. Several lines in one cell
are alternatives. The [FAQ](../faq.md) explains the most frequent errors.
"""


@dataclass(frozen=True)
class Message:
    """One call that makes an error; each part may have several texts."""

    file: str
    line: int
    where: tuple[str, ...]
    problem: tuple[str, ...]
    remedy: tuple[str, ...]


def errors_page(project: Path) -> str:
    """The page, as Markdown.

    Args:
        project: Folder of the project.
    """
    parts = [INTRODUCTION]
    by_file: dict[str, list[Message]] = {}
    for message in messages(project):
        by_file.setdefault(message.file, []).append(message)
    for file, found in sorted(by_file.items()):
        rows = [(_cell(m.where), _cell(m.problem), _cell(m.remedy)) for m in found]
        parts.append(f"## {file}\n\n{table(('where', 'problem', 'remedy'), rows)}")
    return "\n".join(parts)


def messages(project: Path) -> Iterator[Message]:
    """The messages of all files, in the order of the files' lines.

    Calls that only hand on another error's parts are left out.
    """
    for file in sorted((project / "mtpd").rglob("*.py")):
        name = file.relative_to(project).as_posix()
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found = [_message(name, call, Texts(tree, scopes)) for call, scopes in _calls(tree)]
        yield from sorted(filter(None, found), key=lambda message: message.line)


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, tuple[ast.AST, ...]]]:
    """Calls that make an error, each with the functions and comprehensions around it."""
    opening = (ast.FunctionDef, ast.ListComp, ast.GeneratorExp)
    stack: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(tree, ())]
    while stack:
        node, scopes = stack.pop()
        if isinstance(node, ast.Call) and _called(node) in KINDS:
            yield node, scopes
        inner = (*scopes, node) if isinstance(node, opening) else scopes
        stack.extend((child, inner) for child in ast.iter_child_nodes(node))


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _message(file: str, call: ast.Call, texts: Texts) -> Message | None:
    if len(call.args) < 3 or any(isinstance(part, ast.Starred) for part in call.args):
        return None
    where, problem, remedy = (tuple(texts.of(part, call.lineno)) for part in call.args[:3])
    if all(_is_filled_in(text) for text in (*problem, *remedy)):
        return None
    return Message(file, call.lineno, where, problem, remedy)


def _is_filled_in(text: str) -> bool:
    """Whether nothing of the text is known before the error happens."""
    return text.startswith("{") and text.endswith("}") and text.count("{") == 1


class Texts:
    """What expressions of one place of a module may give, as texts.

    What is filled in when the program runs stays as its source, in braces.

    Args:
        module: The whole module, for its constants and functions.
        scopes: Functions and comprehensions around the place, the outermost first.
    """

    def __init__(self, module: ast.Module, scopes: tuple[ast.AST, ...]) -> None:
        functions = [scope for scope in scopes if isinstance(scope, ast.FunctionDef)]
        self._module = module
        self._function = functions[-1] if functions else None
        inner = scopes[scopes.index(functions[-1]) + 1 :] if functions else scopes
        self._entered: set[str] = set()
        self._bound = {name for scope in inner for name in _targets(scope)}

    def of(self, node: ast.expr, line: int) -> list[str]:
        """All texts that ``node`` may give at ``line``."""
        if isinstance(node, ast.Constant):
            return [str(node.value)]
        if isinstance(node, ast.JoinedStr):
            return ["".join(parts) for parts in product(*map(self._part, node.values))]
        if isinstance(node, ast.IfExp):
            return [*self.of(node.body, line), *self.of(node.orelse, line)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return [a + b for a in self.of(node.left, line) for b in self.of(node.right, line)]
        return self._looked_up(node, line) or [f"{{{ast.unparse(node)}}}"]

    def _part(self, node: ast.expr) -> list[str]:
        if isinstance(node, ast.FormattedValue):
            return self._looked_up(node.value, 0) or [f"{{{ast.unparse(node.value)}}}"]
        return [str(node.value)] if isinstance(node, ast.Constant) else []

    def _looked_up(self, node: ast.expr, line: int) -> list[str]:
        """The texts behind a name or a call of the module's own, if all of them are known."""
        found: list[str] = []
        if isinstance(node, ast.Name) and node.id not in self._bound:
            values = self._assigned(node.id, line) or _constants(self._module, node.id)
            # What a value is made from in turn was given before it.
            found = [text for value in values for text in self.of(value, value.lineno)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found = self._returned(node.func.id)
        known = all(text != "None" and not _is_filled_in(text) for text in found)
        return list(dict.fromkeys(found)) if known else []

    def _returned(self, name: str) -> list[str]:
        """The texts that a function of the module returns; none inside itself."""
        if name in self._entered:
            return []
        self._entered.add(name)
        found = [text for value in _returns(self._module, name) for text in self.of(value, 0)]
        self._entered.discard(name)
        return found

    def _assigned(self, name: str, line: int) -> list[ast.expr]:
        """What the function gives a name last before the line, if that is a text."""
        statements = self._function.body if self._function else []
        texts = (ast.Constant, ast.JoinedStr, ast.IfExp)
        return [v for v in _last_given(statements, name, line) if isinstance(v, texts)]


def _last_given(statements: Sequence[ast.stmt], name: str, line: int) -> list[ast.expr]:
    """The values that a name may have at the line, after the statements that lead there."""
    found: list[ast.expr] = []
    for statement in statements:
        if statement.lineno >= line:
            break
        if isinstance(statement, ast.Assign):
            found = list(_given(statement, name)) or found
        blocks = list(_blocks(statement, line))
        inner = [_last_given(block, name, line) for block in blocks]
        values = [value for given in inner for value in given]
        leads_there = line <= (statement.end_lineno or 0)
        always = leads_there or (isinstance(statement, ast.If) and len(inner) > 1 and all(inner))
        found = values if always and values else [*found, *values]
    return found


def _blocks(statement: ast.stmt, line: int) -> Iterator[Sequence[ast.stmt]]:
    """The blocks of a statement that the line is in, or that what comes after may follow."""
    blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    blocks += [handler.body for handler in getattr(statement, "handlers", [])]
    ends = (ast.Raise, ast.Return, ast.Continue)
    for block in filter(None, blocks):
        is_inside = block[0].lineno <= line <= (block[-1].end_lineno or 0)
        is_before = line > (statement.end_lineno or 0) and not isinstance(block[-1], ends)
        if is_inside or is_before:
            yield block


def _targets(scope: ast.AST) -> Iterator[str]:
    for generator in getattr(scope, "generators", ()):
        yield from (node.id for node in ast.walk(generator.target) if isinstance(node, ast.Name))


def _constants(module: ast.Module, name: str) -> list[ast.expr]:
    """The text that a module's own constant holds."""
    assigned = [node for node in module.body if isinstance(node, ast.Assign)]
    values = [value for node in assigned for value in _given(node, name)]
    return [value for value in values if isinstance(value, ast.Constant | ast.JoinedStr)]


def _returns(module: ast.Module, name: str) -> list[ast.expr]:
    """The texts that a module's own function returns, if it returns nothing else."""
    for function in module.body:
        if isinstance(function, ast.FunctionDef) and function.name == name:
            returned = [n.value for n in ast.walk(function) if isinstance(n, ast.Return)]
            texts = [value for value in returned if isinstance(value, ast.JoinedStr | ast.IfExp)]
            return list(texts) if len(texts) == len(returned) else []
    return []


def _given(node: ast.Assign, name: str) -> Iterator[ast.expr]:
    for target in node.targets:
        if isinstance(target, ast.Name) and target.id == name:
            yield node.value
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for part, value in zip(target.elts, node.value.elts, strict=True):
                if isinstance(part, ast.Name) and part.id == name:
                    yield value


def _cell(texts: tuple[str, ...]) -> str:
    shown = [f"`` {text} ``" if "`" in text else f"`{text}`" if text else "–" for text in texts]
    return "<br>".join(shown)
