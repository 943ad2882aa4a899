"""Tables for a terminal and for Markdown, and how figures are written."""

MIB = 1024 * 1024


def number(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def count(value):
    return "–" if value is None else f"{value:,}"


def size(value):
    """Bytes for people."""
    if value is None:
        return "–"
    if value < 10 * 1024:
        return f"{value} B"
    if value < MIB:
        return f"{value / 1024:.0f} KiB"
    return f"{value / MIB:.1f} MiB"


def table(head, rows, markdown):
    rows = [[str(cell) for cell in row] for row in rows]
    if markdown:
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    lines = []
    for row in [head, ["-" * w for w in widths]] + rows:
        # The first column is words, the others are figures.
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
