"""The classifier that the package ships; its card is README.md. `dfdm predict` asks it where no other is given."""

from pathlib import Path

MODEL = Path(__file__).with_name("model.safetensors")
