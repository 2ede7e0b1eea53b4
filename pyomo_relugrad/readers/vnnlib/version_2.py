"""VNN-LIB 2.0: tensors of one or several networks, which may share their inputs.

The standard is at https://www.vnnlib.org. Networks whose hidden values are named, polynomials, and types other than
floating-point numbers are refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal

from pyomo_relugrad.errors import PropertyFileError
from pyomo_relugrad.readers.vnnlib.formula import COMPARISONS, Conjunction, Formulas, Variable, joined
from pyomo_relugrad.readers.vnnlib.property import Declaration, Property, Tensor, cases_of
from pyomo_relugrad.readers.vnnlib.syntax import List, shown

#: Element types that are read as real numbers.
TYPES = ("real", "float16", "float32", "float64")

_MAX_ENTRIES = 2**22
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ELEMENT = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(\[.*\])?")
_NUMBERS = re.compile(r"\[(\d+(,\d+)*)?\]")
_SIDES: dict[str, Literal["X", "Y"]] = {"declare-input": "X", "declare-output": "Y"}


@dataclass
class Version2:
    """Turns the statements of one file into a property."""

    networks: dict[str, Declaration] = field(default_factory=dict)
    tensors: dict[str, tuple[Literal["X", "Y"], int, Tensor]] = field(default_factory=dict)
    sizes: dict[Literal["X", "Y"], int] = field(default_factory=lambda: {"X": 0, "Y": 0})

    def read(self, statements: Sequence[List], name: str) -> Property:
        """The property that the statements after the version make."""
        formulas = Formulas(self._variable, tuple(COMPARISONS), "2.0")
        alternatives: list[list[Conjunction]] = []
        for statement in statements:
            if statement.keyword == "declare-network" and not alternatives:
                network = self._network(statement)
                self.networks[network.name] = network
            elif statement.keyword == "assert" and len(statement.items) == 2:
                alternatives.append(formulas.condition(statement.items[1], statement.line))
            else:
                raise PropertyFileError(
                    f"line {statement.line}: {shown(statement.keyword)} is not what VNN-LIB 2.0 has here: networks are "
                    "declared by declare-network, and assertions follow"
                )
        if not self.networks:
            raise PropertyFileError("no network is declared: begin with declare-network")
        cases = cases_of(joined(alternatives), self.sizes["X"], self.sizes["Y"])
        return Property(self.sizes["X"], self.sizes["Y"], cases, name, tuple(self.networks.values()))

    # --- declarations -------------------------------------------------------------------------------------------

    def _network(self, statement: List) -> Declaration:
        name, line = statement.items[1] if len(statement.items) > 1 else "", statement.line
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in self.networks:
            raise PropertyFileError(f"line {line}: {shown(name)} is not a new name for a network: give each its own")
        relations: dict[str, str] = {}
        tensors: dict[str, list[Tensor]] = {"X": [], "Y": []}
        for part in statement.items[2:]:
            keyword = part.keyword if isinstance(part, List) else ""
            if isinstance(part, List) and keyword in ("equal-to", "isomorphic-to"):
                relations[str(keyword)] = self._related(part, name)
            elif isinstance(part, List) and keyword in _SIDES:
                side = _SIDES[str(keyword)]
                tensors[side].append(self._tensor(part, side))
            elif keyword == "declare-hidden":
                raise PropertyFileError(
                    f"line {line}: the network {name} has declare-hidden: hidden values are not read; remove it"
                )
            else:
                raise PropertyFileError(
                    f"line {line}: {shown(part)} is not a part of the network {name}: write declare-input and "
                    "declare-output"
                )
        network = Declaration(
            name, tuple(tensors["X"]), tuple(tensors["Y"]),
            relations.get("equal-to", ""), relations.get("isomorphic-to", ""),
        )  # fmt: skip
        self._check(network, line, len(relations))
        return network

    def _related(self, part: List, name: str) -> str:
        """The network that another one is equal or isomorphic to."""
        other = part.items[1] if len(part.items) == 2 else ""
        known = self.networks.get(other) if isinstance(other, str) else None
        if known is None or known.equal_to or known.isomorphic_to:
            raise PropertyFileError(
                f"line {part.line}: the network {name} is {part.keyword} {shown(other)}, which must be a network that "
                "is declared before it, without such a relation"
            )
        return known.name

    def _check(self, network: Declaration, line: int, n_relations: int) -> None:
        """Refuse a network without inputs or outputs, or one that cannot be what it is said to be."""
        for tensors in (network.inputs, network.outputs):
            if len({bool(tensor.name_in_file) for tensor in tensors}) > 1:
                raise PropertyFileError(
                    f"line {line}: some tensors of the network {network.name} have names in the file and some have "
                    "none: name all or none"
                )
        if not network.inputs or not network.outputs:
            raise PropertyFileError(
                f"line {line}: the network {network.name} has no inputs or no outputs: declare both"
            )
        other = self.networks.get(network.equal_to or network.isomorphic_to)
        shapes = [[tensor.shape for tensor in (*own.inputs, *own.outputs)] for own in (network, other or network)]
        if n_relations > 1 or shapes[0] != shapes[1]:
            raise PropertyFileError(
                f"line {line}: the network {network.name} is equal or isomorphic to a network of other shapes: "
                "declare the same ones"
            )

    def _tensor(self, part: List, side: Literal["X", "Y"]) -> Tensor:
        items = [item if isinstance(item, str) else "" for item in part.items[1:]]
        name, type_, shape, *rest = (*items, "", "", "")[: max(len(items), 3)]
        if len(rest) > 1 or not _NAME.fullmatch(name) or name in self.tensors or not _NUMBERS.fullmatch(shape):
            raise PropertyFileError(
                f"line {part.line}: a tensor has a new name, a type and a shape such as [1,5], not {' '.join(items)!r}"
            )
        if type_.lower() not in TYPES:
            raise PropertyFileError(
                f"line {part.line}: the tensor {name} is of type {shown(type_)}; {', '.join(TYPES)} are taken: "
                "declare one of these"
            )
        tensor = Tensor(name, type_, _numbers(shape), rest[0].strip('"') if rest else "")
        if not 0 < tensor.size <= _MAX_ENTRIES:
            raise PropertyFileError(
                f"line {part.line}: the tensor {name} has {tensor.size} entries: give a shape with one or more, as "
                "many as fit"
            )
        self.tensors[name] = side, self.sizes[side], tensor
        self.sizes[side] += tensor.size
        return tensor

    # --- variables ----------------------------------------------------------------------------------------------

    def _variable(self, token: str, line: int) -> Variable | None:
        """The entry of a tensor, such as ``X[0,3]``, or ``Y`` for one without dimensions."""
        match = _ELEMENT.fullmatch(token)
        if match is None:
            return None
        name, indices = match[1], match[2] or "[]"
        if name not in self.tensors:
            raise PropertyFileError(
                f"line {line}: the variable {shown(token)} is not declared: name an input or output of a declared "
                "network"
            )
        side, begin, tensor = self.tensors[name]
        places = _numbers(indices) if _NUMBERS.fullmatch(indices) else (-1,)
        if len(places) != len(tensor.shape) or not all(0 <= k < n for k, n in zip(places, tensor.shape, strict=True)):
            shape = ",".join(map(str, tensor.shape))
            raise PropertyFileError(
                f"line {line}: {shown(token)} is no entry of {name}, whose shape is [{shape}]: give an index within it"
            )
        return side, begin + sum(k * prod(tensor.shape[axis + 1 :]) for axis, k in enumerate(places))


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers between brackets."""
    return tuple(int(number) for number in text.strip("[]").split(",") if number)
