"""Adam, each weight's numbers read and written once."""

from typing import Any

import torch
from torch import Tensor


class Adam(torch.optim.Adam):
    """torch's fused Adam, which sees channels-last weights, their gradients and moments as contiguous arrays.

    Given a channels-last weight, torch's CPU kernel copies the gradient first (six times slower). Given a gradient with
    another layout than its weight, it mixes up their elements (torch 2.14). State and its names are torch's own.
    """

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        has_complex = super()._init_group(group, *lists)
        weights, gradients, means, squares, *_ = lists
        for index, weight in enumerate(weights):
            for moments in (means, squares):
                if moments[index].stride() != weight.stride():  # of a state that was saved in another layout
                    moments[index].data = torch.empty_like(weight).copy_(moments[index])
            last = (
                weight.dim() == 4
                and not weight.is_contiguous()
                and weight.is_contiguous(memory_format=torch.channels_last)
            )
            for tensors in (weights, gradients, means, squares):
                if last:  # as rows, columns and channels lie in memory: a view, which the kernel may change in place
                    tensors[index] = tensors[index].permute(0, 2, 3, 1)
            gradients[index] = gradients[index].contiguous()
        return has_complex
