"""Pickles of numbers are read as numpy would; nothing that a pickle asks for is executed."""

import contextlib
import io
import pickle
import pickletools
import struct
from collections import OrderedDict
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainreel.datasets import pickles, stored_array
from brainreel.datasets.pickle_names import Inert
from brainreel.datasets.pickles import read_npy_object, read_pickle
from brainreel.datasets.stored_array import StoredArray
from brainreel.errors import SourceError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def _plain(value):
    if isinstance(value, StoredArray):
        return value.read()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value


def _round(path: Path, value, protocol: int):
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return _plain(read_pickle(path))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", "<i8", "|b1", "<U7", "|S3"])
def test_arrays_of_every_protocol(tmp_path, monkeypatch, protocol, large, order, dtype):
    monkeypatch.setattr(pickles, "_LARGE", 0 if large else 1 << 30)
    values = np.asarray(np.random.default_rng(0).normal(size=(5, 3, 40)) * 9).astype(dtype, order=order)
    betas, names = _round(tmp_path / "a.pkl", (values, ["vid0001", "vid0002"]), protocol)
    np.testing.assert_array_equal(betas, values)
    assert names == ["vid0001", "vid0002"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_containers_numbers_and_text(tmp_path, protocol):
    value = {
        "none": None, "bool": [True, False], "int": [0, 255, 256, 65536, -1, 2**40, -(2**70)], "float": 0.1,
        "text": "Ünï\ncode " * 40, "nested": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {}, []],
        "scalar": np.float64(2.5), "objects": np.array(["a", None, 3], dtype=object), 7: "seven",
        "ordered": OrderedDict(a=1),
    }  # fmt: skip
    found = _round(tmp_path / "a.pkl", value, protocol)
    np.testing.assert_array_equal(found.pop("objects"), value.pop("objects"))
    assert found == value


def test_bytes_and_sets_of_newer_protocols(tmp_path):
    value = {"bytes": b"ab", "sets": [{1, 2}, frozenset({3})], "long": b"x" * 300}
    assert _round(tmp_path / "a.pkl", value, 4) == value


def test_what_python_2_wrote(tmp_path):
    """Its strings, which are also the bytes of its arrays."""
    values = np.arange(6.0).reshape(2, 3)
    data = values.tobytes()
    code = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\nI3\ntcnumpy\ndtype\n"
    code += (
        b"(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n" + b"T" + struct.pack("<I", len(data)) + data + b"tb."
    )
    (tmp_path / "a.pkl").write_bytes(code)
    np.testing.assert_array_equal(pickle.loads(code, encoding="latin1"), values)
    np.testing.assert_array_equal(read_pickle(tmp_path / "a.pkl").read(), values)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("block", [8, 100, 1 << 22])
def test_some_entries_of_an_axis(tmp_path, monkeypatch, order, axis, block):
    """In whatever order the axes lie in memory, and so in the file."""
    monkeypatch.setattr(pickles, "_LARGE", 0)
    monkeypatch.setattr(stored_array, "_BLOCK_BYTES", block)
    values = np.random.default_rng(0).normal(size=(7, 8, 11)).astype(">f8")
    values = np.ascontiguousarray(values.transpose(order)).transpose(np.argsort(order))
    assert values.shape == (7, 8, 11)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(values, protocol=5))
    index = np.array([0, 2, 3, 4, 6])
    stored = read_pickle(tmp_path / "a.pkl")
    np.testing.assert_array_equal(stored.read(), values)
    found = stored.take(index, axis)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.take(values, index, axis).astype(np.float32))


def test_values_beyond_the_type_asked_for_are_infinite(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(np.array([[1.0, 1e300]])))
    assert read_pickle(tmp_path / "a.pkl").take(np.array([0, 1]), -1).tolist() == [[1.0, np.inf]]


def test_a_large_array_is_not_read_with_its_pickle(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps((np.ones((100, 1000)), ["x"]), protocol=5))
    betas, names = read_pickle(path)
    assert names == ["x"]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SourceError, match="became shorter"):
        betas.read()


def test_dicts_in_npy_files(tmp_path):
    values = {"betasmd": np.ones((3, 1, 1, 4), np.float32), "R2": 3.0}
    np.save(tmp_path / "d.npy", np.array(values, dtype=object), allow_pickle=True)
    found = _plain(read_npy_object(tmp_path / "d.npy"))
    np.testing.assert_array_equal(found["betasmd"], values["betasmd"])
    np.save(tmp_path / "n.npy", np.ones(3))
    with pytest.raises(SourceError, match="float64 values of shape"):
        read_npy_object(tmp_path / "n.npy")
    with pytest.raises(SourceError, match="is missing"):
        read_npy_object(tmp_path / "none.npy")


def test_foreign_objects_can_be_let_through_without_being_made(tmp_path):
    import nibabel

    image = nibabel.Nifti1Image(np.ones((2, 3, 4), np.float32), np.eye(4))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps((np.ones(3), image)))
    with pytest.raises(SourceError, match=r"asks for nibabel\.nifti1\.Nifti1Image"):
        read_pickle(tmp_path / "a.pkl")
    found = read_pickle(tmp_path / "a.pkl", inert=("nibabel",))[1]
    assert isinstance(found, Inert)
    np.testing.assert_array_equal(found.state["_dataobj"].read(), np.ones((2, 3, 4)))


class _Evil:
    def __init__(self, made):
        self.made = made

    def __reduce__(self):
        return self.made


def _evil(marker: Path) -> dict[str, bytes]:
    command = f"import pathlib; pathlib.Path({str(marker)!r}).touch()"
    shell = f"touch {marker}"
    numpy_first = pickle.dumps(np.ones(3), protocol=2)[:-1]
    return {
        "os.system": pickle.dumps(_Evil((__import__("os").system, (shell,)))),
        "exec": pickle.dumps((np.ones(3), _Evil((exec, (command,))))),
        "eval in a dict": pickle.dumps({"betasmd": _Evil((eval, ("__import__('os')",)))}),
        "protocol 0 global": f"cos\nsystem\n(S'{shell}'\ntR.".encode(),
        "inst": f"(S'{shell}'\nios\nsystem\n.".encode(),
        "obj": f"(cos\nsystem\nS'{shell}'\no.".encode(),
        "after an array": numpy_first + f"0cposix\nsystem\n(S'{shell}'\ntR.".encode(),
        "a dtype from elsewhere": f"cnumpy.f2py.diagnose\nrun_command\n(S'{shell}'\ntR.".encode(),
        "numpy's own loader": b"cnumpy\nload\n(S'x.npy'\nNI01\ntR.",
        "attribute of a known name": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile\x93.",
        "persistent id": b"P" + shell.encode() + b"\n.",
        "extension": b"\x82\x01.",
        "getattr": b"c__builtin__\ngetattr\n(cnumpy\nndarray\nS'tofile'\ntR.",
        "out of band buffer": b"\x80\x05\x97.",
    }


@pytest.mark.parametrize("name", list(_evil(Path("x"))))
def test_a_malicious_pickle_executes_nothing(tmp_path, name):
    marker = tmp_path / "executed"
    path = tmp_path / "evil.pkl"
    path.write_bytes(_evil(marker)[name])
    with pytest.raises(SourceError, match=r"evil\.pkl") as caught:
        read_pickle(path)
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_calling_a_known_name_with_odd_arguments_is_refused(tmp_path):
    for code in (
        b"cnumpy\nndarray\n(I3\ntR.",  # ndarray is only ever an argument
        b"cnumpy.core.multiarray\n_reconstruct\n(I3\n(I0\ntS'b'\ntR.",
        b"cnumpy\ndtype\n(S'f8'\ntR}b.",
        b"]}b.",
        b"(dI1\nI2\nas.",
        b"I1\n]a.",
    ):
        (tmp_path / "odd.pkl").write_bytes(code)
        with pytest.raises(SourceError, match="cannot be read"):
            read_pickle(tmp_path / "odd.pkl")


_GOOD = pickle.dumps((np.arange(30.0).reshape(2, 3, 5), ["vid0001", "vid0002"], {"a": 1, "b": [None, 2.5]}), protocol=4)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(_GOOD) - 1), place=st.integers(0, len(_GOOD) - 1), byte=st.integers(0, 255))
def test_damage_is_a_sentence_or_harmless(tmp_path, cut, place, byte):
    path = tmp_path / "a.pkl"
    path.write_bytes(_GOOD[:cut])
    with pytest.raises(SourceError, match="cannot be read"):
        read_pickle(path)
    path.write_bytes(_GOOD[:place] + bytes([byte]) + _GOOD[place + 1 :])
    # Whatever comes of a changed byte, it is a value or the one kind of error.
    with contextlib.suppress(SourceError):
        _plain(read_pickle(path))


def test_every_instruction_that_arrays_need_is_known():
    """Of numpy's own pickles, in each protocol."""
    for protocol in PROTOCOLS:
        code = pickle.dumps((np.ones((2, 40000)), ["a"] * 300, {1: (2, 3)}), protocol=protocol)
        for instruction, _, _ in pickletools.genops(io.BytesIO(code)):
            if instruction.code != ".":
                assert instruction.code.encode("latin1") in pickles._RUN
