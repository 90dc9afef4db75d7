"""Weights are read out of torch's files without running them; what asks for more than weights need is refused, not run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from geomm_engine.contract import ErrorCode
from geomm_engine.encoders.checkpoint import Tensor, read_checkpoint, tensors
from geomm_engine.encoders.tensor_file import read_tensors, write_tensors
from geomm_engine.errors import ModelError


def test_reads_what_torch_wrote(folder: Path) -> None:
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    whole = {
        "plain": base, "turned": base.T, "part": base[1:3, 2:], "double": base.double() / 7, "half": base.half(),
        "whole": torch.tensor([[1, -2], [3, 4]]), "flags": torch.tensor([True, False]), "scalar": torch.tensor(2.5),
        "learned": torch.nn.Parameter(base * 2), "none": torch.zeros(0, 3),
    }  # fmt: skip
    path = folder / "poids é.ckpt"
    torch.save({"state_dict": OrderedDict(whole), "lr": 1e-4, "names": ["a", ("b", None, True, 1 << 40)]}, path)
    found = read_checkpoint(path)
    assert isinstance(found, dict)
    assert (found["lr"], found["names"]) == (1e-4, ["a", ("b", None, True, 1 << 40)])
    for name, tensor in tensors(found["state_dict"], path).items():
        value = tensor.read()
        np.testing.assert_array_equal(value, whole[name].detach().numpy())
        assert value.dtype == whole[name].detach().numpy().dtype


def test_reads_the_state_of_a_module_and_a_lone_parameter(folder: Path) -> None:
    module = torch.nn.Linear(3, 2)
    torch.save(module.state_dict(), folder / "module.pth")  # carries version marks beside its weights
    found = tensors(read_checkpoint(folder / "module.pth"), folder)
    np.testing.assert_array_equal(found["weight"].read(), module.weight.detach().numpy())
    torch.save(torch.nn.Parameter(torch.tensor(2.65)), folder / "scale.pth")
    scale = read_checkpoint(folder / "scale.pth")
    assert isinstance(scale, Tensor)
    assert float(scale.read()) == pytest.approx(2.65)


class _Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


def _zip_with(path: Path, program: bytes, numbers: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/data/0", numbers)
    return path


def test_a_program_in_a_file_is_not_run(folder: Path) -> None:
    victim = folder / "victim"
    path = folder / "evil.ckpt"
    torch.save({"state_dict": {"weight": torch.zeros(2), "more": _Evil(f'touch "{victim}"')}}, path)
    with pytest.raises(ModelError, match=r"posix\.system|nt\.system") as refusal:
        read_checkpoint(path)
    assert not victim.exists()
    assert refusal.value.code == ErrorCode.MODEL_INVALID
    assert "Nothing of it was run" in refusal.value.text
    assert refusal.value.cure
    with path.open("rb"):  # what a loader of pickles would have done
        torch.load(path, weights_only=False)
    assert victim.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cbuiltins\neval\n(V1+1\ntR.",  # the oldest protocol
        pickle.dumps(eval),
        pickle.dumps(io.BytesIO),
        b"\x80\x02ctorch\nload\n)R.",
        b"\x80\x02ccollections\nOrderedDict\n(K\x01tR.",  # a known name, called as weights do not
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)\x81.",  # an instruction that makes objects
        b"\x80\x02i(collections\nOrderedDict\n.",
    ],
)
def test_any_other_name_or_instruction_is_refused(folder: Path, program: bytes) -> None:
    with pytest.raises(ModelError) as refusal:
        read_checkpoint(_zip_with(folder / "odd.pth", program))
    assert "odd.pth" in refusal.value.text
    assert refusal.value.cure


def test_damage_is_told(folder: Path) -> None:
    good = folder / "good.pth"
    torch.save({"weight": torch.arange(100.0)}, good)
    (folder / "cut.pth").write_bytes(good.read_bytes()[:-200])
    (folder / "text.pth").write_text("hello")
    (folder / "old.pth").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C))  # how torch began its files before 1.6
    for name in ("cut.pth", "text.pth", "old.pth", "absent.pth"):
        with pytest.raises(ModelError, match=name):
            read_checkpoint(folder / name)
    for program in (b"", b"\x80\x02", b"\x80\x02}.extra", b"\x80\x02t.", b"\x80\x02Q."):
        with pytest.raises(ModelError):
            tensors(read_checkpoint(_zip_with(folder / "bad.pth", program)), folder / "bad.pth")


def _tensor_program(count: int, offset: int, size: int, stride: int) -> bytes:
    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu"
        + number(count) + b"tQ" + number(offset) + b"(" + number(size) + b"t(" + number(stride)
        + b"t\x89ccollections\nOrderedDict\n)RtR."
    )  # fmt: skip


def test_a_tensor_may_not_reach_beyond_its_numbers(folder: Path) -> None:
    numbers = np.arange(4, dtype=np.float32).tobytes()
    fine = read_checkpoint(_zip_with(folder / "fine.pth", _tensor_program(4, 1, 3, 1).replace(b"U", b"\x8c"), numbers))
    assert isinstance(fine, Tensor)
    assert fine.read().tolist() == [1.0, 2.0, 3.0]
    for wrong in ((4, 2, 3, 1), (4, 0, 2, 1000), (4, -1, 2, 1), (4, 0, 4, -1), (400, 0, 4, 1)):
        program = _tensor_program(*wrong).replace(b"U", b"\x8c")
        with pytest.raises(ModelError):
            read_checkpoint(_zip_with(folder / "far.pth", program, numbers)).read()


def test_safetensors_agree_with_their_own_package(folder: Path) -> None:
    values = {
        "small": np.arange(3, dtype=np.int8),
        "wide": np.linspace(0, 1, 6).reshape(2, 3),
        "single": np.float32(2.5) * np.ones((), np.float32),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "empty": np.zeros((0, 4), np.float16),
    }
    write_tensors(folder / "ours.safetensors", values)
    save_file({name: np.ascontiguousarray(value) for name, value in values.items()}, folder / "theirs.safetensors")
    for read, path in ((load_file, "ours"), (read_tensors, "ours"), (read_tensors, "theirs")):
        found = read(folder / f"{path}.safetensors")
        assert set(found) == set(values)
        for name, value in values.items():
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype


def test_a_damaged_safetensors_file_is_refused(folder: Path) -> None:
    path = folder / "weights.safetensors"
    write_tensors(path, {"weight": np.ones(1000)})
    whole = path.read_bytes()
    for content in (whole[:-100], b"", whole[:20], b"\xff" * 40, struct.pack("<Q", 2) + b"[]"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"weights\.safetensors"):
            read_tensors(path)
