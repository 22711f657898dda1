import warnings

import numpy as np
import pytest
import torch

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import to_display_array

NARROW = [
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz,
    torch.int8,
    torch.int16,
    torch.int32,
]
GRID = torch.tensor([[1.0, -2.0, 0.0], [3.0, 4.0, -8.0]])


@pytest.mark.parametrize("dtype", NARROW)
def test_types_up_to_32_bits_become_float32(dtype):
    shown = to_display_array(GRID.to(dtype))
    assert shown.dtype == np.float32
    np.testing.assert_array_equal(shown, GRID.numpy())


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
def test_64_bit_types_become_float64(dtype):
    shown = to_display_array(GRID.to(dtype))
    assert shown.dtype == np.float64
    np.testing.assert_array_equal(shown, GRID.numpy())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64])
def test_unsigned_integers_keep_their_top_values(dtype):
    top = torch.iinfo(dtype).max
    assert to_display_array(torch.tensor([0, top], dtype=dtype)).tolist() == [
        0,
        np.float64(top) if dtype is torch.uint64 else np.float32(top),
    ]


def test_bool_becomes_zero_and_one():
    assert to_display_array(torch.tensor([True, False])).tolist() == [1, 0]


@pytest.mark.parametrize("dtype", [torch.complex32, torch.complex64, torch.complex128])
def test_complex_numbers_become_their_magnitude(dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # complex32 is experimental
        value = torch.tensor([3 + 4j, -5j]).to(dtype)
    assert to_display_array(value).tolist() == [5, 5]
    assert to_display_array(value.conj()).tolist() == [5, 5]


def sparse(layout):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sparse CSR is called beta
        return torch.eye(4).to_sparse(
            layout=layout, blocksize=(2, 2) if "bs" in str(layout) else None
        )


@pytest.mark.parametrize(
    "layout",
    [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc],
)
def test_sparse_layouts_become_dense(layout):
    np.testing.assert_array_equal(to_display_array(sparse(layout)), np.eye(4))


def test_quantised_values_become_the_numbers_they_stand_for():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # announced to move to another package
        value = torch.quantize_per_tensor(GRID, 0.5, 20, torch.quint8)
    np.testing.assert_array_equal(to_display_array(value), GRID.numpy())


@pytest.mark.parametrize(
    "view",
    [
        GRID.T,
        GRID[:, ::2],
        GRID[:1].expand(5, 3),
        GRID.reshape(1, 2, 3, 1).to(memory_format=torch.channels_last),
        torch.nn.Parameter(GRID),
        torch.complex(GRID, GRID).conj().imag,  # a view with the negative bit set
        GRID.clone().requires_grad_() * 2,
        torch.empty(0, 3),
        torch.tensor(2.5),
    ],
    ids=[
        "transposed",
        "strided",
        "expanded",
        "channels_last",
        "parameter",
        "negative",
        "grad",
        "empty",
        "0-d",
    ],
)
def test_any_view_gives_row_order_in_memory_of_its_own(view):
    expected = view.detach().resolve_neg().numpy().copy()
    shown = to_display_array(view)
    assert shown.flags.c_contiguous
    assert shown.flags.writeable
    shown += 1
    np.testing.assert_array_equal(view.detach().resolve_neg().numpy(), expected)
    np.testing.assert_array_equal(shown - 1, expected)


@pytest.mark.parametrize("make", [torch.tensor, np.array])
def test_nan_and_infinities_are_kept(make):
    np.testing.assert_array_equal(
        to_display_array(make([np.nan, np.inf, -np.inf])), [np.nan, np.inf, -np.inf]
    )


def test_values_beyond_float32_stay_finite():
    assert to_display_array(torch.tensor([1e300], dtype=torch.float64))[0] == 1e300
    assert to_display_array(1e300) == 1e300
    assert to_display_array(2**62) == 2.0**62


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.arange(6, dtype=">i2").reshape(2, 3).T, np.float32),
        (np.broadcast_to(np.float32(3), (2, 2)), np.float32),
        (np.float16(0.5), np.float32),
        (np.arange(3), np.float64),
        (np.array([3 + 4j]), np.float64),
        (True, np.float32),
        (7, np.float64),
    ],
)
def test_arrays_and_numbers_follow_the_same_rule(value, dtype):
    shown = to_display_array(value)
    assert shown.dtype == dtype
    assert shown.shape == np.shape(value)
    assert shown.flags.c_contiguous
    np.testing.assert_array_equal(shown, np.abs(value))


def test_an_array_is_copied():
    values = np.ones(3, np.float32)
    to_display_array(values)[:] = 5
    assert values.tolist() == [1, 1, 1]


def test_the_default_device_and_type_do_not_matter():
    with torch.device("meta"):
        assert to_display_array(GRID).dtype == np.float32
    with torch.inference_mode():
        np.testing.assert_array_equal(to_display_array(GRID * 2), 2 * GRID.numpy())


def nested():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are called a prototype
        return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.empty(3, device="meta"), r"meta tensor of shape \(3,\).*real device"),
        (nested, "nested tensor.*unbind"),
        (lambda: torch.zeros(2, dtype=torch.uint8).view(torch.bits8), "bits8.*float32"),
        (lambda: "abc", "'str'.*expected"),
        (lambda: None, "'NoneType'.*expected"),
        (lambda: [[1], [2, 3]], "'list'.*expected"),
        (lambda: 10**400, "'int'.*expected"),
        (lambda: np.array(["2020"], "M8[D]"), r"datetime64\[D\].*expected"),
    ],
    ids=["meta", "nested", "bits", "string", "none", "ragged", "huge", "dates"],
)
def test_what_holds_no_numbers_is_refused_in_one_line(make, message):
    with pytest.raises(InputError, match=message) as caught:
        to_display_array(make())
    assert "\n" not in str(caught.value)
