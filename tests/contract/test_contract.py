"""The contract: every message survives the line, and every wrong message names the field that is wrong."""

from __future__ import annotations

import ast
import dataclasses
import enum
import json
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

from geomm_engine import contract
from geomm_engine.contract import ContractError, ErrorCode, decode, encode

NOTIFICATIONS = (contract.ProgressNote, contract.PartialNote, contract.CancelParams)
MESSAGES = sorted(
    {shape for pair in contract.METHODS.values() for shape in pair} | set(NOTIFICATIONS), key=lambda s: s.__name__
)
SOURCE = Path(contract.__file__).read_text(encoding="utf-8")


def example(shape: Any, seed: int) -> Any:
    """A value of this shape with nothing left at its default; ``seed`` varies it."""
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if origin is typing.Union:
        return example(arguments[seed % len(arguments)], seed)
    if origin is tuple:
        shapes = [arguments[0]] * (seed % 3) if arguments[-1] is Ellipsis else arguments
        return tuple(example(item, seed + at) for at, item in enumerate(shapes))
    if origin is dict:
        return {f"clé {at}": example(arguments[1], at) for at in range(4)}
    if dataclasses.is_dataclass(shape):
        hints = typing.get_type_hints(shape)
        return shape(
            **{item.name: example(hints[item.name], seed + at) for at, item in enumerate(dataclasses.fields(shape))}
        )
    if issubclass(shape, enum.Enum):
        return list(shape)[seed % len(shape)]
    values = {
        bool: seed % 2 == 0,
        int: 7 + seed,
        float: -0.1 * seed + 1 / 3,
        str: f'forêt "{seed}"\n\u2028 \\ 森',
        type(None): None,
    }
    return values[shape]


def across(value: Any) -> Any:
    """What arrives at the other side of the pipe."""
    line = contract.line({"jsonrpc": "2.0", "params": encode(value)})
    assert line.count(b"\n") == 1
    return json.loads(line)["params"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", MESSAGES, ids=lambda shape: shape.__name__)
def test_every_message_survives_the_line(shape: type, seed: int) -> None:
    value = example(shape, seed)
    arrived = decode(shape, across(value))
    assert arrived == value
    assert repr(arrived) == repr(value)  # 1 is not True, and 1.0 is not 1


@pytest.mark.parametrize("shape", MESSAGES, ids=lambda shape: shape.__name__)
def test_defaults_survive_the_line(shape: type) -> None:
    hints = typing.get_type_hints(shape)
    needed = {
        item.name: example(hints[item.name], 1)
        for item in dataclasses.fields(shape)
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }
    assert decode(shape, {name: across(item) for name, item in needed.items()}) == shape(**needed)


@pytest.mark.parametrize("shape", MESSAGES, ids=lambda shape: shape.__name__)
def test_an_unknown_field_is_named(shape: type) -> None:
    with pytest.raises(ContractError) as caught:
        decode(shape, across(example(shape, 1)) | {"colour": 1})
    assert caught.value.where == "params.colour"


@pytest.mark.parametrize("shape", MESSAGES, ids=lambda shape: shape.__name__)
def test_every_missing_field_is_named(shape: type) -> None:
    whole = across(example(shape, 1))
    for item in dataclasses.fields(shape):
        rest = {name: value for name, value in whole.items() if name != item.name}
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            with pytest.raises(ContractError) as caught:
                decode(shape, rest)
            assert caught.value.where == f"params.{item.name}"
        else:
            decode(shape, rest)


@pytest.mark.parametrize("shape", MESSAGES, ids=lambda shape: shape.__name__)
def test_every_field_of_a_wrong_type_is_named(shape: type) -> None:
    whole = across(example(shape, 1))
    for item in dataclasses.fields(shape):
        with pytest.raises(ContractError) as caught:
            decode(shape, whole | {item.name: {"neither": ["this", "nor", "that"]}})
        assert caught.value.where.startswith(f"params.{item.name}")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"classes": [{"name": "forest"}, {"name": 3}]}, "params.classes[1].name"),
        ({"classes": [{"name": "forest", "synonyms": "woodland"}]}, "params.classes[0].synonyms"),
        ({"source": {"paths": ["/a", None]}}, "params.source.paths[1]"),
        ({"source": {"paths": [], "role": []}}, "params.source.role"),
        ({"has_unknown": 1}, "params.has_unknown"),
        ({"reject_threshold": True}, "params.reject_threshold"),
        ({"area": None}, "params.area"),
        ({"output_dir": None}, "params.output_dir"),
    ],
)
def test_a_wrong_field_deep_inside_is_named(change: dict[str, Any], where: str) -> None:
    params = {"source": {"paths": ["/a.tif"]}, "classes": [{"name": "forest"}], "output_dir": "/out"}
    decode(contract.ClassifyParams, params)
    with pytest.raises(ContractError) as caught:
        decode(contract.ClassifyParams, params | change)
    assert caught.value.where == where
    assert where in str(caught.value)


@pytest.mark.parametrize("value", [True, 1, 1.5, "1", 0, False, "true"])
def test_a_fact_keeps_its_type(value: contract.Fact) -> None:
    note = contract.Note("code", contract.Level.RED, "text", {"fact": value})
    arrived = decode(contract.Note, across(note)).facts["fact"]
    assert arrived == value
    assert type(arrived) is type(value)


def test_a_whole_number_is_a_number() -> None:
    assert (
        repr(decode(contract.ProgressNote, {"id": 1, "stage": "embed", "done": 1, "total": 2, "rate": 3}).rate) == "3.0"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_line_holds_what_is_no_json(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        contract.line({"rate": value})


def test_a_broken_character_stays_what_it_was() -> None:
    """File names that are no UTF-8 reach Python as lone surrogates; naming one in an error must not break the line."""
    text = b"caf\xe9.tif".decode("utf-8", "surrogateescape")
    assert json.loads(contract.line({"path": text}))["path"] == text


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_code_is_its_own_name(code: ErrorCode) -> None:
    assert code.value == code.name.lower()
    error = contract.error_response(3, code, "cause", "cure", {"path": "/é"})["error"]
    assert ErrorCode(error["data"]["code"]) is code


def test_requests_and_jobs_are_told_apart() -> None:
    assert not set(contract.REQUESTS) & set(contract.JOBS)
    assert set(contract.METHODS) == set(contract.REQUESTS) | set(contract.JOBS)


def test_every_message_is_frozen() -> None:
    for name, shape in vars(contract).items():
        if dataclasses.is_dataclass(shape):
            assert shape.__dataclass_params__.frozen, name


def test_python_39_can_read_it() -> None:
    tree = ast.parse(SOURCE, feature_version=(3, 9))
    matches = [node for node in ast.walk(tree) if isinstance(node, ast.Match | ast.TryStar)]
    assert not matches
    shapes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    annotations = [item.annotation for shape in shapes for item in shape.body if isinstance(item, ast.AnnAssign)]
    unions = [ast.unparse(item) for item in annotations if any(isinstance(node, ast.BinOp) for node in ast.walk(item))]
    assert not unions, "get_type_hints evaluates these, and Python 3.9 knows no X | Y"


def test_it_imports_the_standard_library_only() -> None:
    tree = ast.parse(SOURCE)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)
