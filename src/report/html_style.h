// The style of report.html.
#pragma once

namespace emulsion {

inline constexpr const char* k_report_style = R"(
:root { --ink: #1f2733; --soft: #5b6675; --line: #dfe4ea; --blue: #2563eb; --green: #15936b; --red: #d1433f; --violet: #8b3fd1 }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1.5rem;
  color: var(--ink); background: #fff }
h1 { font-size: 1.6rem; margin: 0 0 1rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
small { color: var(--soft); font-size: .82em } .facts { color: var(--soft); margin: .5rem 0 }
.cards { display: flex; flex-wrap: wrap; gap: .8rem }
.card { border: 1px solid var(--line); border-radius: 8px; padding: .6rem 1rem; min-width: 11rem }
.card b { display: block; font-size: 1.35rem } .card span { color: var(--soft); font-size: .85rem }
.notes { background: #fff8e6; border: 1px solid #f1dfae; border-radius: 8px; padding: .6rem 1rem .6rem 2rem; margin: 1rem 0 }
.plots { display: flex; flex-wrap: wrap; gap: 1rem } figure { margin: 0; flex: 1 1 30rem; min-width: 0; max-width: 52rem }
svg { width: 100%; height: auto; display: block } svg text { font-size: 12px; fill: var(--soft) }
svg .title { font-size: 13px; fill: var(--ink) } svg .label { fill: var(--ink); font-weight: 600; font-size: 11.5px;
  paint-order: stroke; stroke: #fff; stroke-width: 3px }
.grid { stroke: #edf0f4; fill: none } .axis { stroke: #9aa5b1; fill: none }
svg .open { fill: #b9c2cd } svg .legal { fill: var(--green) } svg .rejected { fill: var(--red) } svg .front { fill: var(--blue) }
.front-line { fill: none; stroke: var(--blue); stroke-width: 1.6; opacity: .7 }
.plan { fill: #fff; stroke: var(--blue); stroke-width: 2.2 } .of-random { stroke: var(--violet) }
.legend span { margin-right: 1.4rem; color: var(--soft); font-size: .88rem; white-space: nowrap } .legend i { display: inline-block; margin-right: .4rem }
.dot { width: 8px; height: 8px; border-radius: 50% } .dot.open { background: #b9c2cd } .dot.legal { background: var(--green) }
.dot.rejected { background: var(--red) } .ring { width: 10px; height: 10px; border-radius: 50%; border: 2px solid var(--blue) }
.ring.violet { border-color: var(--violet) } .stroke { width: 18px; height: 2px; background: var(--blue); vertical-align: middle }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem }
th, td { padding: .28rem .6rem; text-align: right; white-space: nowrap } th { font-weight: 600; color: var(--soft); border-bottom: 1px solid #9aa5b1 }
tbody tr:nth-child(even) { background: #f7f9fb } td:first-child, th:first-child, .what, .file { text-align: left }
td.what { white-space: normal }
.group td { background: #eef2f7; font-weight: 600; text-align: left } .good { color: var(--green) } .bad { color: var(--red) }
.file { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .85em }
details { border: 1px solid var(--line); border-radius: 8px; margin: .5rem 0; padding: .4rem 1rem } summary { cursor: pointer; font-weight: 600 }
.layers { width: 100%; margin: .5rem 0; font-size: .85rem } .layers td { padding: .12rem .6rem } .layers .bars { width: 24% }
.layers .steps { min-width: 14rem }
/* the end of a long name tells more than its beginning */
.layers .name { max-width: 18rem; overflow: hidden; text-overflow: ellipsis; direction: rtl; text-align: left }
.bars div { height: 6px; border-radius: 2px; margin: 1px 0; min-width: 1px } .before { background: #b9c2cd } .after { background: var(--blue) } .kept { background: var(--green) }
pre { background: #f4f6f9; border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; overflow-x: auto }
)";

}  // namespace emulsion
