"""Draws what uvloop-bench prints.

    python3 plot.py bars FILE.svg  < figures    bars of the medians, a panel for each workload
    python3 plot.py lines FILE.svg < figures    lines of the medians over the count that ends each workload's name
    python3 plot.py check                       exits with 3 where matplotlib is not installed

Reads lines `workload<TAB>peer<TAB>value<TAB>unit`. A line `# text` is what stands under the heading; a line
`# workload<TAB>title<TAB>note` says what a workload is. One unit of the picture is one pixel.
"""

import math
import re
import sys
from statistics import median

try:
    import matplotlib
except ImportError:
    sys.exit(3)
matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.ticker import EngFormatter, FixedLocator, NullFormatter, NullLocator

WIDTH = 900
MARGIN = 24
HEADING = 116

# What is drawn for light grounds, and what a style sheet makes of it on dark ones.
INK, INK_DARK = "#1f2328", "#e6edf3"
FAINT, FAINT_DARK = "#59636e", "#9da7b3"
GRID, GRID_DARK = "#d8dee4", "#30363d"
OURS, OURS_DARK = "#d1440c", "#ff8345"
OURS_TOO, OURS_TOO_DARK = "#b03a00", "#ffb38a"
LIBUV, LIBUV_DARK = "#5b7fb5", "#6f97d3"
OTHER, OTHER_DARK = "#a9b3bf", "#5d6773"
LINES = [
    ("#5b7fb4", "#6f97d2"),
    ("#2a9d6f", "#4cc38a"),
    ("#8a63d2", "#b18cff"),
    ("#a87900", "#e0b040"),
    ("#b8487f", "#ef86b8"),
]
DARK = dict(
    [(INK, INK_DARK), (FAINT, FAINT_DARK), (GRID, GRID_DARK), (OURS, OURS_DARK), (OURS_TOO, OURS_TOO_DARK)]
    + [(LIBUV, LIBUV_DARK), (OTHER, OTHER_DARK)]
    + LINES
)

# Each unit in terms of one that takes prefixes.
UNITS = {"ops/s": (1, "/s"), "ns": (1e-9, "s"), "us": (1e-6, "s"), "ms": (1e-3, "s"), "B": (1, "B"),
         "MiB/s": (2**20, "B/s")}

pyplot.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "uvloop-bench",
        "font.family": "DejaVu Sans",
        "font.size": 12,
        "text.color": INK,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "axes.labelcolor": FAINT,
    }
)


class Figures:
    """Medians by workload and peer, each in the order in which it came."""

    def __init__(self, lines):
        self.note = ""
        self.titles = {}
        self.units = {}
        values = {}
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if line.startswith("# "):
                if len(fields) == 1:
                    self.note = line[2:].strip()
                else:
                    self.titles[fields[0][2:]] = fields[1:]
            elif len(fields) == 4 and fields[3] in UNITS:
                workload, peer, value, unit = fields
                # A logarithmic scale has no zero.
                if float(value) <= 0:
                    continue
                self.units[workload] = unit
                values.setdefault(workload, {}).setdefault(peer, []).append(float(value))
        self.medians = {
            workload: {peer: median(all) * UNITS[self.units[workload]][0] for peer, all in peers.items()}
            for workload, peers in values.items()
        }

    def rises(self, workload):
        """Whether more is better."""
        return self.units[workload].endswith("/s")

    def formatter(self, workload):
        return EngFormatter(UNITS[self.units[workload]][1])


def is_ours(peer):
    return peer.startswith("uvloop-swift")


def colour(peer):
    return OURS if is_ours(peer) else LIBUV if peer.startswith("c-") else OTHER


class Page:
    """A picture measured in pixels from its upper left corner."""

    def __init__(self, height):
        self.height = height
        self.figure = pyplot.figure(figsize=(WIDTH / 72, height / 72), dpi=72)

    def text(self, x, y, text, **style):
        self.figure.text(x / WIDTH, 1 - y / self.height, text, va="baseline", **style)

    def axes(self, x, y, width, height):
        axes = self.figure.add_axes((x / WIDTH, 1 - (y + height) / self.height, width / WIDTH, height / self.height))
        axes.patch.set_visible(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, pad=6)
        axes.set_axisbelow(True)
        return axes

    def heading(self, title, note, keys, remark):
        """Returns where the rest begins."""
        self.text(MARGIN, 40, title, fontsize=22, fontweight="bold")
        self.text(MARGIN, 64, note, fontsize=13, color=FAINT)
        x = MARGIN
        for name, key in keys:
            box = self.axes(x, 81, 12, 12)
            box.set_axis_off()
            box.set_xlim(0, 1)
            box.set_ylim(0, 1)
            box.fill_between([0, 1], 0, 1, color=key, linewidth=0)
            self.text(x + 19, 92, name, fontsize=13)
            x += 19 + width_of(name, 13) + 24
        at = {"x": WIDTH - MARGIN, "ha": "right"} if keys else {"x": MARGIN}
        self.text(y=92, text=remark, fontsize=13, color=FAINT, **at)
        return HEADING

    def save(self, file, title):
        self.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Title": title})
        pyplot.close(self.figure)
        with open(file, encoding="utf-8") as svg:
            text = svg.read()
        with open(file, "w", encoding="utf-8") as svg:
            svg.write(styled(text))


def width_of(text, size, weight="normal"):
    return TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight)).get_extents().x1


def wrapped(text, width, size, weight):
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width_of(longer, size, weight) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def styled(svg):
    """One unit a pixel, the reader's own fonts, and a style sheet for dark grounds."""
    svg = re.sub(r'width="([\d.]+)pt" height="([\d.]+)pt"', r'width="\1" height="\2"', svg, count=1)
    svg = svg.replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans', Verdana, sans-serif")
    rules = "".join(
        f'    [style*="{what}: {light}"] {{ {what}: {dark} !important; }}\n'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
        if f"{what}: {light}" in svg
    )
    sheet = f'  <style type="text/css">\n   @media (prefers-color-scheme: dark) {{\n{rules}   }}\n  </style>\n'
    return svg.replace(" <defs>\n", f" <defs>\n{sheet}", 1)


# Bars.

COLUMN = (WIDTH - 2 * MARGIN - 40) / 2
NAMES = 150
BAR = 22
TITLE_LINE = 17


def title_lines(figures, workload):
    title = figures.titles.get(workload, [workload])[0]
    return wrapped(title[:1].upper() + title[1:], COLUMN, 14, "bold")


def panel_height(figures, workload):
    return TITLE_LINE * (len(title_lines(figures, workload)) + 1) + BAR * len(figures.medians[workload]) + 60


def draw_panel(page, x, y, figures, workload):
    for line in title_lines(figures, workload):
        page.text(x, y + 14, line, fontsize=14, fontweight="bold")
        y += TITLE_LINE
    notes = [workload] + figures.titles.get(workload, [""])[1:]
    notes.append("more is better" if figures.rises(workload) else "less is better")
    page.text(x, y + 14, " · ".join(note for note in notes if note), fontsize=12, color=FAINT)
    y += TITLE_LINE + 8

    bars = sorted(figures.medians[workload].items(), key=lambda bar: bar[1], reverse=figures.rises(workload))
    # A logarithmic scale has no zero; one that begins below half of the least shows each bar.
    low = 10 ** math.floor(math.log10(min(value for _, value in bars) / 2))
    top = max(value for _, value in bars)
    # Leaves room for the longest bar's value.
    high = low * (top / low) ** (1 / 0.7)
    axes = page.axes(x + NAMES, y, COLUMN - NAMES, BAR * len(bars))
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(len(bars) - 0.5, -0.5)

    format = figures.formatter(workload)
    for row, (peer, value) in enumerate(bars):
        axes.barh(row, value - low, left=low, height=0.66, color=colour(peer), linewidth=0)
        axes.annotate(
            format(float(f"{value:.3g}")),
            (value, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center_baseline",
            color=OURS if is_ours(peer) else INK,
            fontweight="bold" if is_ours(peer) else "normal",
        )
    axes.set_yticks(range(len(bars)), [peer for peer, _ in bars])
    for label, (peer, _) in zip(axes.get_yticklabels(), bars):
        label.set_color(OURS if is_ours(peer) else INK)
        label.set_fontweight("bold" if is_ours(peer) else "normal")
    decades = math.log10(high / low)
    step = math.ceil(60 * decades / (COLUMN - NAMES))
    first = round(math.log10(low))
    axes.xaxis.set_major_locator(FixedLocator([10.0**power for power in range(first, first + int(decades) + 1, step)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(format)
    axes.tick_params(axis="x", length=4, width=1, color=GRID, pad=4)
    axes.spines["bottom"].set(visible=True, color=GRID)


def rows_of_panels(workloads):
    """A workload that was also measured on one CPU fills a row; the others stand two in a row."""
    pairs = [[name, f"{name}@1cpu"] for name in workloads if f"{name}@1cpu" in workloads]
    paired = {name for pair in pairs for name in pair}
    single = [name for name in workloads if name not in paired]
    return pairs + [single[i : i + 2] for i in range(0, len(single), 2)]


def draw_bars(figures, file):
    rows = rows_of_panels(figures.medians)
    heights = [max(panel_height(figures, workload) for workload in row) for row in rows]
    page = Page(HEADING + sum(heights))
    title = "UVLoop beside other loops"
    keys = [("UVLoop", OURS), ("C, on libuv", LIBUV), ("others", OTHER)]
    y = page.heading(title, figures.note, keys, "logarithmic scales")
    for row, height in zip(rows, heights):
        for column, workload in enumerate(row):
            draw_panel(page, MARGIN + column * (COLUMN + 40), y, figures, workload)
        y += height
    page.save(file, title)


# Lines.

LABEL = 19


def draw_lines(figures, file):
    """All workloads share a name, and end in the number that they are drawn over."""
    names = list(figures.medians)
    base = names[0].rsplit(".", 1)[0]
    title, axis = figures.titles.get(base, [base, ""])[:2]
    peers = list(dict.fromkeys(peer for medians in figures.medians.values() for peer in medians))
    page = Page(HEADING + 440)
    better = "more is better" if figures.rises(names[0]) else "less is better"
    page.heading(title[:1].upper() + title[1:], figures.note, [], f"{base} · {better} · logarithmic scales")

    right = 40 + max(width_of(peer, 13, "bold") for peer in peers)
    top, height = HEADING - 4, 376
    axes = page.axes(90, top, WIDTH - 90 - right, height)
    axes.set_xscale("log")
    axes.set_yscale("log")
    numbers = sorted({int(name.rsplit(".", 1)[1]) for name in names})
    ours = iter([(OURS, "-"), (OURS_TOO, "--"), (OURS, ":")])
    others = iter([(line, style) for style in ("-", "--") for line, _ in LINES])
    ends = []
    for peer in peers:
        points = [(number, figures.medians[f"{base}.{number}"].get(peer)) for number in numbers]
        points = [point for point in points if point[1] is not None]
        line, style = next(ours if is_ours(peer) else others)
        weight = 3 if is_ours(peer) else 1.75
        axes.plot(
            *zip(*points), style, color=line, linewidth=weight, marker="o", markersize=2.6 * weight, markeredgewidth=0,
            zorder=3 if is_ours(peer) else 2,
        )
        ends.append((peer, line, points[-1]))
    axes.xaxis.set_major_locator(FixedLocator(numbers))
    axes.xaxis.set_major_formatter(lambda number, _: f"{number:,.0f}")
    axes.minorticks_off()
    axes.set_xmargin(0.02)
    # At least a decade, so that what hardly changes looks so.
    low, high = axes.get_ylim()
    room = max(1, math.sqrt(10 * low / high))
    axes.set_ylim(low / room, high * room)
    axes.set_xlabel(axis, fontsize=13, labelpad=10)
    draw_decades(axes, figures.formatter(names[0]))
    axes.grid(color=GRID, linewidth=1)

    # The names stand where the lines end, one above the other where these meet.
    def place(point):
        return top + height - axes.transAxes.inverted().transform(axes.transData.transform(point))[1] * height

    ends.sort(key=lambda end: place(end[2]))
    for (peer, line, point), y in zip(ends, spread([place(point) for _, _, point in ends], LABEL)):
        page.text(
            WIDTH - right + 12, y + 4.5, peer, color=line, fontsize=13, fontweight="bold" if is_ours(peer) else "normal"
        )
    page.save(file, title)


def draw_decades(axes, format):
    """Marks decades, and within them what is needed to have three marks."""
    low, high = axes.get_ylim()
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ([1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7]):
        marks = [step * 10.0**power for power in powers for step in steps]
        marks = [mark for mark in marks if low <= mark <= high]
        if len(marks) >= 3:
            break
    axes.yaxis.set_major_locator(FixedLocator(marks))
    axes.yaxis.set_major_formatter(format)
    axes.yaxis.set_minor_formatter(NullFormatter())


def spread(places, gap):
    """Moves sorted places apart, as little as that takes, in groups around the middle of their own places."""
    groups = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and middle(groups[-1]) - middle(groups[-2]) < gap * (len(groups[-1]) + len(groups[-2])) / 2:
            last = groups.pop()
            groups[-1] += last
    return [middle(group) + gap * (i - (len(group) - 1) / 2) for group in groups for i in range(len(group))]


def middle(group):
    return sum(group) / len(group)


def main():
    if sys.argv[1:] == ["check"]:
        return
    draw = {"bars": draw_bars, "lines": draw_lines}[sys.argv[1]]
    figures = Figures(sys.stdin)
    if not figures.medians:
        sys.exit("plot.py: there is no figure to draw")
    draw(figures, sys.argv[2])


main()
