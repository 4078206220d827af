"""Writes golden/torchao/: a small weight (20, 512), and the codes, scales and zeros that TorchAO makes of them in bf16.

Each case is a file of, one after the other: the weight (rows, cols) in bf16; the codes, a byte each (signed for int8); scales
(rows, groups) in bf16; zeros (rows, groups) in bf16, for int4; TorchAO's dequantised weight (rows, cols) in fp32.
"""

import pathlib

import torch
from torchao.dtypes import PlainLayout, to_affine_quantized_intx
from torchao.quantization.quant_primitives import MappingType, ZeroPointDomain, dequantize_affine

OUT = pathlib.Path(__file__).parent.parent / "golden" / "torchao"
ROWS, COLS = 20, 512


def weights() -> torch.Tensor:
    """Rows that bend every rule: of one value, of zeros, of one sign, with outliers, tiny, huge."""
    torch.manual_seed(7)
    w = torch.randn(ROWS, COLS) * 0.02
    w[0] = 0
    w[1] = 0.5
    w[2] = -0.0371
    w[3] = w[3].abs() + 0.01
    w[4] = -w[4].abs()
    w[5, ::37] = 3.0
    w[6] *= 1e-6
    w[7] *= 1e-20
    w[8] *= 1e10
    w[9, 100] = -40.0
    w[10] = torch.linspace(-1, 1, COLS)
    w[11] = torch.linspace(0, 15, COLS).round()
    w[12] = 1 + w[12] * 1e-2
    return w.to(torch.bfloat16)


def int4(w: torch.Tensor, group: int):
    """As torchao.quantization.int4_weight_only(group) asks for, before the layout of the CUDA kernel."""
    return to_affine_quantized_intx(
        w, MappingType.ASYMMETRIC, (1, group), torch.int32, 0, 15, 1e-6, zero_point_dtype=torch.bfloat16,
        preserve_zero=False, zero_point_domain=ZeroPointDomain.FLOAT, _layout=PlainLayout(),
    )  # fmt: skip


def int8(w: torch.Tensor):
    """As torchao.quantization.int8_weight_only() asks for."""
    return to_affine_quantized_intx(
        w, MappingType.SYMMETRIC, (1, w.shape[1]), torch.int8, eps=torch.finfo(torch.float32).eps, zero_point_dtype=torch.int64
    )


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    w = weights()
    for name, quantised in {**{f"int4-{g}": int4(w, g) for g in (32, 64, 128, 256)}, "int8": int8(w)}.items():
        plain = quantised.tensor_impl
        codes = plain.int_data.to(torch.int8)
        scale, zero = plain.scale.reshape(ROWS, -1), plain.zero_point.reshape(ROWS, -1)
        assert scale.dtype == torch.bfloat16
        parts = [w, codes, scale, *([zero.to(torch.bfloat16)] if name != "int8" else []), dequantised(codes, scale, zero, name)]
        (OUT / f"{name}.bin").write_bytes(b"".join(raw(part) for part in parts))


def dequantised(codes, scale, zero, name) -> torch.Tensor:
    block = (1, COLS // scale.shape[1])
    if name == "int8":
        return dequantize_affine(codes, block, scale.float(), zero, torch.int8, output_dtype=torch.float32)
    domain = ZeroPointDomain.FLOAT
    return dequantize_affine(
        codes.to(torch.int32), block, scale.float(), zero.float(), torch.int32, 0, 15, zero_point_domain=domain, output_dtype=torch.float32
    )  # fmt: skip


if __name__ == "__main__":
    main()
