"""Charts as SVG text, for README and reports: no library, no script, readable on light and dark pages."""

from xml.sax.saxutils import escape

COLOURS = ["#1a6fb5", "#d97a1d", "#3d9a50", "#b5483a", "#8064a2", "#7a6a58", "#c06fa5", "#5f6b73"]
FONT = 'font-family="sans-serif" font-size="12"'


def svg(width, height, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" {FONT}>\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(body) +
            "\n</svg>\n")


def text(x, y, words, anchor="start", colour="#222", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" {more}>{escape(words)}</text>'


def line(x1, y1, x2, y2, colour="#ccc", width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def legend(names, x, y, step=130):
    body = []
    for i, name in enumerate(names):
        left = x + i * step
        body.append(f'<rect x="{left}" y="{y - 10}" width="12" height="12" fill="{COLOURS[i % len(COLOURS)]}"/>')
        body.append(text(left + 17, y, name))
    return body


def bars(title, groups, names, unit="", longest=float("inf")):
    """Horizontal bars. groups: (label, {name: value}); names: order and colour of the bars, missing values left out.
    Those longer than `longest` are broken off there."""
    left, right, thick, gap, top = 190, 60, 13, 14, 66
    width = max(760, left + 130 * len(names))
    most = min(max((v for _, values in groups for v in values.values()), default=1) or 1, longest)
    scale = (width - left - right) / most
    body, y = [text(16, 24, title, more='font-weight="bold"'), *legend(names, 16, 48)], top
    one = left + scale
    first = y
    for label, values in groups:
        shown = [(i, n) for i, n in enumerate(names) if n in values]
        body.append(text(left - 8, y + thick * len(shown) / 2 + 4, label, "end"))
        for i, name in shown:
            length = min(values[name], longest) * scale
            body.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{thick - 2}" '
                        f'fill="{COLOURS[i % len(COLOURS)]}"/>')
            if values[name] > longest:
                body += [line(left + length - x, y + thick, left + length - x + 8, y - 2, "#fff") for x in (20, 15)]
            body.append(text(left + length + 5, y + 10, f"{values[name]:.2f}{unit}", more='font-size="10"'))
            y += thick
        y += gap
    body.append(line(one, first - 6, one, y - gap + 4, "#444"))
    return svg(width, y + 6, body)


def scatter(title, points, x_label, y_label, names, y_range=None):
    """points: (x, y, y_low, y_high, name); one colour a name, a bar from y_low to y_high."""
    width, height, left, right, top, bottom = 760, 420, 64, 24, 72, 48
    xs = [p[0] for p in points] or [0, 1]
    ys = [v for p in points for v in p[1:4]] or [0, 1]
    x0, x1 = min(xs), max(xs)
    y0, y1 = y_range or (min(ys), max(ys))
    x0, x1 = x0 - 0.06 * (x1 - x0 or 1), x1 + 0.06 * (x1 - x0 or 1)
    y0, y1 = y0 - 0.06 * (y1 - y0 or 1), y1 + 0.06 * (y1 - y0 or 1)
    at_x = lambda v: left + (v - x0) / (x1 - x0) * (width - left - right)
    at_y = lambda v: height - bottom - (v - y0) / (y1 - y0) * (height - top - bottom)
    body = [text(16, 24, title, more='font-weight="bold"'), *legend(names, 16, 48, 120)]
    for i in range(6):
        v = y0 + (y1 - y0) * i / 5
        body += [line(left, at_y(v), width - right, at_y(v)), text(left - 6, at_y(v) + 4, f"{v:.3g}", "end")]
        v = x0 + (x1 - x0) * i / 5
        body += [text(at_x(v), height - bottom + 18, f"{v:.3g}", "middle")]
    body += [line(left, height - bottom, width - right, height - bottom, "#444"),
             line(left, top, left, height - bottom, "#444"),
             text((left + width) / 2, height - 10, x_label, "middle"),
             text(0, 0, y_label, "middle", more=f'transform="translate(16 {(top + height - bottom) / 2:.0f}) rotate(-90)"')]
    for x, y, low, high, name in points:
        colour = COLOURS[names.index(name) % len(COLOURS)]
        body.append(line(at_x(x), at_y(low), at_x(x), at_y(high), colour, 2))
        body.append(f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="4.5" fill="{colour}"/>')
    return svg(width, height, body)
