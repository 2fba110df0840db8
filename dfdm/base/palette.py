"""The colours of charts, pictures and the report."""

INK, QUIET, GREY, GRID = "#1f2933", "#616e7c", "#9aa5b1", "#e4e7eb"
BLUE, ORANGE, RED = "#2563a8", "#c2611f", "#9b1c1c"
PAPER, PANEL = "#ffffff", "#f5f7fa"
DARK = {  # what the report has in their place on a dark screen
    **{INK: "#e4e8ec", QUIET: "#a3aeb9", GREY: "#66727f", GRID: "#333c46"},
    **{BLUE: "#7fb4ee", ORANGE: "#eba36a", RED: "#f08a8a"},
    **{PAPER: "#14181c", PANEL: "#1c2228"},
}
NAMES = {  # of the report's style sheet
    **{INK: "ink", QUIET: "quiet", GREY: "grey", GRID: "line", BLUE: "blue", ORANGE: "orange", RED: "red"},
    **{PAPER: "paper", PANEL: "panel"},
}
