"""A load as a picture: four charts over one axis of time, SVG written by hand. Pure.

Colours are Okabe and Ito's, told apart by every kind of eye; two lines in one chart differ in their dashes too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lab.load.run import Load
from lab.load.samples import total
from lab.messages import t

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
_ROW = 18
_STYLES = ((BLUE, ""), (ORANGE, "6 2"), (GREEN, "2 2"), (GREY, "8 3 2 3"))
WIDTH, LEFT, RIGHT, TOP, HEIGHT, GAP = 960, 80, 170, 86, 130, 44
Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart; `steps` holds a value until the next one."""

    name: str
    colour: str
    points: Sequence[Point]
    dash: str = ""
    steps: bool = False


@dataclass(frozen=True)
class Chart:
    """One chart. Logarithmic ones begin at `low`."""

    title: str
    lines: Sequence[Line]
    low: float = 0.0
    logarithmic: bool = False
    crosses: Sequence[Point] = ()
    """Red crosses, such as seconds with failures."""


def render(load: Load) -> str:
    """The picture of a load."""
    seconds = max([1.0, len(load.samples.seconds), *(look.time for look in load.looks)])
    charts, moments = _charts(load), _moments(load, seconds)
    bottom = TOP + len(charts) * (HEIGHT + GAP) - GAP
    height = bottom + 64 + _ROW * len(moments)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(_title(load))}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(LEFT, 26, _title(load), size=17, weight="bold"),
        _text(LEFT, 46, _subtitle(load), colour=GREY),
    ]
    for number, chart in enumerate(charts):
        parts += _drawn(chart, TOP + number * (HEIGHT + GAP), seconds)
    parts += _marks(moments, seconds, bottom=bottom)
    axis = _text((LEFT + WIDTH - RIGHT) / 2, bottom + 34, "seconds", colour=GREY, anchor="middle")
    return "\n".join([*parts, axis, "</svg>"]) + "\n"


def _title(load: Load) -> str:
    return t(
        "iris-serving under load: {name}, {rps:g} requests/s for {seconds:g} s",
        name=load.pattern.name,
        rps=load.pattern.rps,
        seconds=load.pattern.seconds,
    )


def _subtitle(load: Load) -> str:
    whole = total(load.samples.seconds)
    first, most, last = load.replicas
    return t(
        "{answered} answered, {failed} failed, {retried} asked again; p50 {p50} ms, p99 {p99} ms; replicas {first} - {most} - {last}",
        answered=whole.answered,
        failed=whole.failed,
        retried=whole.retried,
        p50=_number(whole.p50),
        p99=_number(whole.p99),
        first=first,
        most=most,
        last=last,
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _charts(load: Load) -> list[Chart]:
    sums = [total([second]) for second in load.samples.seconds]
    wanted = [(float(t), load.pattern.rate(t)) for t in range(len(sums))]
    answered = [(float(t), float(one.arrived)) for t, one in enumerate(sums)]
    failures = [(float(t), float(one.failed)) for t, one in enumerate(sums) if one.failed]
    p50 = [(float(t), one.p50) for t, one in enumerate(sums) if one.p50 is not None]
    p99 = [(float(t), one.p99) for t, one in enumerate(sums) if one.p99 is not None]
    looks = load.looks
    cpu = [(look.time, float(look.cpu)) for look in looks if look.cpu is not None]
    target = [(look.time, float(look.target)) for look in looks if look.target is not None]
    return [
        Chart(
            t("requests/s (failed: red crosses)"),
            [Line("wanted", GREY, wanted, dash="3 3", steps=True), Line("answered", BLUE, answered)],
            crosses=failures,
        ),
        Chart(
            t("latency, ms (logarithmic)"),
            [Line("p50", BLUE, p50), Line("p99", ORANGE, p99, dash="6 2")],
            low=0.1,
            logarithmic=True,
        ),
        Chart(
            t("CPU, % of what pods request"),
            [Line("target", GREY, target, dash="3 3"), Line("used", GREEN, cpu, steps=True)],
        ),
        Chart(
            "pods",
            [
                Line("wanted", ORANGE, [(look.time, float(look.wanted)) for look in looks], dash="6 2", steps=True),
                Line("ready", BLUE, [(look.time, float(look.ready)) for look in looks], steps=True),
            ],
        ),
        *_releases(load),
    ]


def _releases(load: Load) -> list[Chart]:
    """Who answered, where there was more than one release: a rolling update as callers see it."""
    names = sorted({name for second in load.samples.seconds for name in second.releases})
    if len(names) < 2:
        return []
    lines = []
    for number, name in enumerate(names):
        seconds = [(time, second.releases) for time, second in enumerate(load.samples.seconds) if second.releases]
        points = [(float(time), 100 * found[name] / sum(found.values())) for time, found in seconds]
        colour, dash = _STYLES[number % len(_STYLES)]
        lines.append(Line(name, colour, points, dash))
    return [Chart(t("answers by release, %"), lines)]


@dataclass(frozen=True)
class _Scale:
    """Values to places on the page."""

    top: float
    seconds: float
    low: float
    high: float
    logarithmic: bool

    def x(self, time: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * time / self.seconds

    def y(self, value: float) -> float:
        if self.logarithmic:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(max(value, self.low))
        else:
            low, high = self.low, self.high
        return self.top + HEIGHT * (1 - (value - low) / (high - low))


def _drawn(chart: Chart, top: float, seconds: float) -> list[str]:
    values = [value for line in chart.lines for _, value in line.points]
    ticks = decades(chart.low, max(values, default=1)) if chart.logarithmic else linear(max(values, default=1))
    scale = _Scale(top, seconds, ticks[0], ticks[-1], chart.logarithmic)
    right = scale.x(seconds)
    parts = [_text(LEFT, top - 8, chart.title, weight="bold")]
    for tick in ticks:
        y = scale.y(tick)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right:.1f}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{tick:g}", colour=GREY, anchor="end"))
    for time in linear(seconds)[:-1]:
        parts.append(_text(scale.x(time), top + HEIGHT + 15, f"{time:g}", colour=GREY, anchor="middle"))
    for number, line in enumerate(chart.lines):
        if line.points:
            dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
            path = _path(line, scale)
            parts.append(
                f'<path d="{path}" fill="none" stroke="{line.colour}" stroke-width="2" stroke-linejoin="round"{dash}/>'
            )
        parts += _legend(line, right + 14, top + 14 + 20 * number)
    parts += [_cross(scale.x(time), scale.y(min(value, ticks[-1]))) for time, value in chart.crosses]
    return parts


def _path(line: Line, scale: _Scale) -> str:
    places = [(scale.x(time), scale.y(value)) for time, value in line.points]
    first, *others = places
    draw = [f"M{first[0]:.1f} {first[1]:.1f}"]
    for x, y in others:
        draw.append(f"H{x:.1f}V{y:.1f}" if line.steps else f"L{x:.1f} {y:.1f}")
    return "".join(draw)


def _legend(line: Line, x: float, y: float) -> list[str]:
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    stroke = f'<path d="M{x:.1f} {y - 4:.1f}h26" stroke="{line.colour}" stroke-width="2"{dash}/>'
    return [stroke, _text(x + 32, y, line.name)]


def _cross(x: float, y: float) -> str:
    return f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="{RED}" stroke-width="2"/>'


def _moments(load: Load, seconds: float) -> list[tuple[float, str]]:
    """What happened and when, in order."""
    found = [(event.time, event.what) for event in load.happened]
    if seconds > load.pattern.seconds + 1:
        found.append((load.pattern.seconds, t("the load ends")))
    return sorted(found)


def _marks(moments: Sequence[tuple[float, str]], seconds: float, *, bottom: float) -> list[str]:
    """A numbered line through all charts for each, and what the numbers mean below."""
    scale = _Scale(TOP, seconds, 0, 1, logarithmic=False)
    parts = []
    for number, (time, what) in enumerate(moments, 1):
        x = scale.x(time)
        parts.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="{RED}" stroke-dasharray="1 3"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{TOP}" r="8" fill="{RED}"/>')
        parts.append(_text(x, TOP + 4, str(number), colour="white", size=11, weight="bold", anchor="middle"))
        parts.append(
            _text(
                LEFT,
                bottom + 44 + _ROW * number,
                f"{number}  {t('at {time:.0f} s: {what}', time=time, what=what)}",
                colour=RED,
            )
        )
    return parts


def _text(
    x: float,
    y: float,
    text: str,
    *,
    colour: str = "#222222",
    size: int = 12,
    weight: str = "normal",
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def linear(most: float) -> list[float]:
    """Round numbers from 0 to at least `most`, four to eight of them."""
    most = max(most, 1.0)
    rough = most / 5
    unit: float = 10 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    step = max(step, 1.0)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def decades(low: float, most: float) -> list[float]:
    """Powers of ten from `low` to at least `most`."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(max(most, low * 10)))
    return [10.0**power for power in range(first, last + 1)]
