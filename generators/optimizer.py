"""Adam, each weight's numbers read and written once."""

from typing import Any

import torch
from torch import Tensor


class Adam(torch.optim.Adam):
    """torch's fused Adam, which sees channels-last weights, their gradients and moments as contiguous arrays.

    Given a channels-last weight, torch's CPU kernel copies the gradient first (six times slower); given a gradient
    that lies otherwise than its weight, it mixes up their elements (torch 2.14). State and its names are torch's own.
    """

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        has_complex = super()._init_group(group, *lists)
        weights, gradients, means, squares, *_ = lists
        for index, weight in enumerate(weights):
            last = weight.dim() == 4 and not weight.is_contiguous()
            for tensors in (means, squares):
                if tensors[index].stride() != weight.stride():  # of a state that was saved in another layout
                    tensors[index].data = torch.empty_like(weight).copy_(tensors[index])
            for tensors in (weights, gradients, means, squares):
                tensors[index] = (tensors[index].permute(0, 2, 3, 1) if last else tensors[index]).contiguous()
        return has_complex
