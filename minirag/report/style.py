"""Row 8. How the report looks: one style sheet for screens from 400 pixels on, light and dark, and for paper.

Text and the arms' marks stand out from their ground by 4.5 : 1 (WCAG 2.2). The arms' colours were searched for, so that
two of them are far apart (45 in CIE L*a*b*) for people without red, green or blue cones too; their marks differ by
shape as well (`charts.drawing.mark`).
"""

_LIGHT = """
  --ink: #1c2430; --soft: #566170; --line: #d5dbe3; --paper: #ffffff; --card: #f4f6f9; --link: #0b5394;
  --good: #17714a; --bad: #b3261e; --gone: #fbe3e1; --come: #dcf2e6;
  --base: #b24b00; --tuned: #0073e6; --teacher: #501452; --stick: #7d8896;
"""
_DARK = """
  --ink: #e6eaf0; --soft: #a3afbd; --line: #35404e; --paper: #14191f; --card: #1d242c; --link: #8ac2f5;
  --good: #5fd39a; --bad: #ff9a91; --gone: #50262a; --come: #1c4534;
  --base: #f26d0d; --tuned: #3d87f5; --teacher: #fcc5df; --stick: #76828f;
"""
_PAGE = """
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 70rem;
  margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
a { color: var(--link); } :focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.verdict { background: var(--card); border-left: .3rem solid var(--soft); padding: 1rem; border-radius: .3rem; }
.verdict.better { border-color: var(--good); } .verdict.worse { border-color: var(--bad); }
.verdict h2 { font-size: 1.05rem; margin: 1rem 0 .25rem; } .verdict h2:first-child { margin-top: 0; }
h3 small { font-weight: normal; margin-inline-start: .5rem; }
.no { color: var(--bad); } .yes { color: var(--good); } .soft, small { color: var(--soft); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
blockquote { margin: .5rem 0; padding: .5rem .8rem; background: var(--card); white-space: pre-wrap; }
ins { background: var(--come); text-decoration: underline; text-decoration-thickness: 1px; }
del { background: var(--gone); text-decoration: line-through; text-decoration-thickness: 1px; }
ul { margin: .3rem 0; padding-left: 1.2rem; } summary { cursor: pointer; }
"""
_TABLES = """
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { overflow-wrap: normal; text-align: start; font-weight: normal; padding: .35rem .7rem .35rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { font-weight: 600; } .breaks td { overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.questions form { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; padding: .5rem 0; }
.questions [hidden] { display: none; }
.questions input, .questions select, .questions button { font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--soft); border-radius: .25rem; padding: .2rem .5rem; min-height: 2rem; max-width: 100%; }
.questions tbody th, .questions td { overflow-wrap: anywhere; }
.questions thead th { white-space: normal; vertical-align: bottom; } .questions thead th:first-child { width: 40%; }
.questions tbody tr:first-child > * { border: 0; padding-bottom: 0; }
.questions tbody tr + tr > td { padding-top: 0; }
.questions details > :not(summary) { max-width: 60rem; }
@media (max-width: 40rem) {
  .questions thead { position: absolute; clip-path: inset(50%); }
  .questions table, .questions tbody { display: block; }
  .questions tr { display: flex; flex-wrap: wrap; gap: 0 1rem; }
  .questions tr > * { padding: .2rem 0; } .questions th, .questions td[colspan] { flex: 1 0 100%; max-width: 100%; }
  .questions td.n { white-space: normal; text-align: start; }
  .questions td.n::before { content: attr(data-column) " "; color: var(--soft); }
}
"""
_CHARTS = """
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem 2rem; }
figure { margin: 1rem 0; min-width: 0; } figcaption { font-weight: 600; margin-bottom: .25rem; }
.chart { display: block; width: 100%; height: auto; max-width: 34rem; overflow: visible;
  font: 12px system-ui, sans-serif; }
.chart text { fill: var(--ink); } .chart text.soft { fill: var(--soft); } .chart text.strong { font-weight: 600; }
.chart .grid { stroke: var(--line); stroke-width: 1; } .chart .axis { stroke: var(--soft); stroke-width: 1; }
.chart .turn { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; }
.chart text { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
.chart .stick { stroke-width: 1.2; opacity: .55; } .chart .interval { stroke: var(--ink); stroke-width: 2; }
.chart .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.chart .ink { fill: var(--ink); } .chart .base { fill: var(--base); stroke: var(--base); }
.chart .tuned { fill: var(--tuned); stroke: var(--tuned); }
.chart .teacher { fill: var(--teacher); stroke: var(--teacher); }
.chart .ring { fill: var(--paper); stroke-width: 1.4; } .chart .bar { stroke: none; }
.chart .curve.tuned, .chart .curve.teacher { fill: none; } .chart .curve.teacher { stroke-dasharray: 7 3; }
.chart .dashed { stroke: var(--ink); stroke-dasharray: 2 3; }
.chart .span { stroke: var(--stick); stroke-width: 1.2; }
.chart .money, .chart .found { fill: var(--tuned); } .chart .lost { fill: var(--stick); }
.chart g:hover > :is(circle, polygon, line, rect) { stroke: var(--ink); }
"""
_PAPER = """
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; } figure, tr, blockquote { break-inside: avoid; }
  .questions form { display: none; } details::details-content { content-visibility: visible; height: auto; }
  * { print-color-adjust: exact; }
}
"""

STYLE = (
    f":root {{ color-scheme: light dark; {_LIGHT}}}\n"
    f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK}}} }}\n" + _PAGE + _TABLES + _CHARTS + _PAPER
)
"""The report's only style sheet. It loads nothing; `color-scheme` makes controls follow."""
