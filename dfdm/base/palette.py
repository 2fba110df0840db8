"""The colours of charts, pictures and the report."""

INK, QUIET, GREY, GRID = "#1f2933", "#616e7c", "#9aa5b1", "#e4e7eb"
BLUE, ORANGE, RED = "#2563a8", "#c2611f", "#9b1c1c"
