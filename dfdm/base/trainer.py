"""What every training does alike: optimizer steps, resuming, a clean stop, going back after a failure."""

import math
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dfdm.base.compute import grad_scaler
from dfdm.base.errors import DfdmError, reason
from dfdm.base.states import StateFolder

ROLLBACKS = 5  # times that a training may continue at half the rate: 1/32 of it in the end
PARTS = ("model", "optimizer", "scaler")  # what has a state of its own


class DivergedError(DfdmError):
    """A training whose loss or weights diverged; `fact` says where and how, without advice."""

    def __init__(self, fact: str, advice: str) -> None:
        super().__init__(f"{fact}, training stopped and the last good state was kept; try {advice}")
        self.fact = fact


def check_finite(values: Iterable[float], where: str) -> None:
    """Stop a training whose loss is no longer a number; `where` names training and step."""
    if not all(math.isfinite(value) for value in values):
        raise DivergedError(f"{where}: the loss or a weight is no longer a number", "a lower lr, or amp: false")


def check_weights(model: nn.Module, where: str) -> None:
    """Stop where the last update, which no loss has seen yet, left a weight that is not a number."""
    norms = torch.stack(torch._foreach_norm([weight.detach() for weight in model.parameters()]))
    check_finite([float(norms.sum())], where)


class Interrupt:
    """SIGTERM and Ctrl-C ask a loop to save and stop.

    `with Interrupt() as interrupt`, then look at `interrupt.signal` (0: continue).
    A second Ctrl-C stops at once. Outside the main thread nothing is caught.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._catch)
        return self

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def exit_if_set(self, where: str) -> None:
        """Leave with the caught signal's exit status (143 or 130), so a workflow sees unfinished work."""
        if self.signal:
            name = signal.Signals(self.signal).name
            print(f"{where}: stopped by {name}, state saved; run again to continue", file=sys.stderr, flush=True)
            raise SystemExit(128 + self.signal)


class BaseTrainer(ABC):
    """One training in progress: model, optimizer, how many of its `steps` are done, where it was rolled back.

    A kind of training says how its rate goes (`scheduled`), takes its steps (`advance`) and adds to `state` and
    `restore` what else the rest of it depends on. `on_nan`: what a DivergedError does.
    """

    unit = "step"  # the word for a step

    def __init__(
        self,
        title: str,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        device: torch.device,
        steps: int,
        amp: bool,
        on_nan: Literal["stop", "rollback"],
    ) -> None:
        self.title, self.device, self.steps, self.on_nan = title, device, steps, on_nan
        self.model, self.optimizer, self.scaler = model, optimizer, grad_scaler(device, amp)
        self.step = 0
        self.rollbacks: list[int] = []  # the steps from which it continued at half the rate

    @abstractmethod
    def scheduled(self, step: int) -> float:
        """The learning rate of a step (from 0) in a training that was never rolled back."""

    @abstractmethod
    def advance(self, states: StateFolder, interrupt: Interrupt) -> None:
        """Train from the current step to the end, or until a signal; save whenever a state is due, and before that."""

    @abstractmethod
    def fresh(self) -> dict[str, Any]:
        """The state before the first step."""

    @property
    def where(self) -> str:
        """Training and step, in words."""
        return f"{self.title}, {self.unit} {self.step}"

    def rate(self, step: int) -> float:
        """The learning rate of a step (from 0): the scheduled one, halved by every rollback before it."""
        return self.scheduled(step) * 0.5 ** sum(start <= step for start in self.rollbacks)

    def descend(self, loss: Tensor) -> None:
        """One step of the optimizer."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1

    def state(self) -> dict[str, Any]:
        """What resuming needs; weights that are not numbers stop the training, so no state ever holds them."""
        check_weights(self.model, self.where)
        return {part: getattr(self, part).state_dict() for part in PARTS}

    def restore(self, state: dict[str, Any], folder: Path) -> None:
        """Go on from a state out of `folder`; one that does not fit is a DfdmError."""
        try:
            for part in PARTS:
                getattr(self, part).load_state_dict(state[part])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DfdmError(
                f"training state in {folder} does not fit this model ({reason(error)}); move it away"
            ) from None
        self.step, self.rollbacks = state.get("step", 0), state["rollbacks"]

    def resume(self, states: StateFolder) -> None:
        """Go on from the newest state, where there is one."""
        if state := states.latest():
            self.restore(state, states.folder)
            self._announce()

    def run(self, states: StateFolder) -> None:
        """Train until the last step, or a signal; roll back where the loss diverges and `on_nan` says so."""
        with Interrupt() as interrupt:
            while self.step < self.steps:
                try:
                    self.advance(states, interrupt)
                except DivergedError as fault:
                    self._roll_back(states, fault)
                if self.step < self.steps:
                    interrupt.exit_if_set(self.title)

    def _roll_back(self, states: StateFolder, fault: DivergedError) -> None:
        """Go on from the last good state at half the rate; where there is none yet, from the beginning.

        The state is written again with the rollback in it. Raises DfdmError where `on_nan` is stop, or after the last
        of the rollbacks.
        """
        if self.on_nan == "stop":
            raise DfdmError(f"{fault}, or on_nan: rollback") from fault
        if len(self.rollbacks) == ROLLBACKS:
            raise DfdmError(
                f"{fault.fact}, after {ROLLBACKS} rollbacks at a rate of {self.rate(self.step):.3g}; the last good "
                f"state was kept: look at what is in {states.folder}, try amp: false or other scenes, and move the "
                "states away to start again"
            ) from fault
        state = states.latest(regular=True) or self.fresh()
        self.restore({**state, "rollbacks": [*self.rollbacks, state.get("step", 0)]}, states.folder)
        states.roll_back(self.step, self.state())
        print(f"{fault.fact}; rolled back to {self.unit} {self.step}", file=sys.stderr)
        self._announce()

    def _announce(self) -> None:
        """Say on stderr from where the training continues, and how often it was rolled back."""
        text = f"{self.title}: continues from {self.unit} {self.step} of {self.steps}"
        if times := len(self.rollbacks):
            text += f" at lr {self.rate(self.step):.3g}, rollback {times} of at most {ROLLBACKS}"
        print(text, file=sys.stderr, flush=True)
