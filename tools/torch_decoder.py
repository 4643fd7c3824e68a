"""A PyTorch decoder of the same shape, to compare a GPU's step with: `torch.compile`, scaled-dot-product attention.

    python tools/torch_decoder.py '{"layers": 24, "width": 1024, "heads": 16, "head_width": 64, "hidden": 2816,
                                    "vocabulary": 50048, "batch": 16, "length": 1024, "rounds": 20}'

Weights, AdamW (fused) and loss in float32, products in bfloat16 by autocast. Rows are one document each (causal,
no mask), which spares it the borders of documents. The last line is JSON: the median milliseconds of a step.
`bench_step.py --torch=yes` runs it.
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width: int, heads: int, head_width: int, hidden: int):
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.norm1, self.norm2 = nn.RMSNorm(width, eps=1e-6), nn.RMSNorm(width, eps=1e-6)
        self.norm_q, self.norm_k = nn.RMSNorm(head_width, eps=1e-6), nn.RMSNorm(head_width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.out = nn.Linear(heads * head_width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        parts = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, self.head_width).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in parts)
        q, k = (self.rotate(part, cos, sin) for part in (self.norm_q(q), self.norm_k(k)))
        mixed = F.scaled_dot_product_attention(q, k, v.to(q.dtype), is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, -1))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)

    @staticmethod
    def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        first, second = x.float().chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(torch.bfloat16)


class Decoder(nn.Module):
    def __init__(self, shape: dict):
        super().__init__()
        self.embedding = nn.Embedding(shape["vocabulary"], shape["width"])
        nn.init.normal_(self.embedding.weight, std=shape["width"] ** -0.5)
        sizes = (shape["width"], shape["heads"], shape["head_width"], shape["hidden"])
        self.blocks = nn.ModuleList(Block(*sizes) for _ in range(shape["layers"]))
        self.norm = nn.RMSNorm(shape["width"], eps=1e-6)
        half = shape["head_width"] // 2
        angles = torch.arange(shape["length"])[:, None] * 10_000.0 ** (-torch.arange(half) / half)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def main() -> None:
    shape = json.loads(sys.argv[1])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    model = Decoder(shape).to(device)
    compiled = torch.compile(model)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=device == "cuda"
    )
    tokens = torch.randint(3, shape["vocabulary"], (shape["batch"], shape["length"] + 1), device=device)
    times = []
    for turn in range(3 + shape["rounds"]):
        begun = time.perf_counter()
        with torch.autocast(device, torch.bfloat16):
            loss = compiled(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        if turn >= 3:
            times.append(1e3 * (time.perf_counter() - begun))
    print(json.dumps({"step_ms": statistics.median(times), "torch": torch.__version__, "loss": loss.item()}))


if __name__ == "__main__":
    main()
