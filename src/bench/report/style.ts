/** The page's only style: light and dark by what the reader prefers, black on white in print. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --sheet: #f6f7f9; --ink: #16191d; --soft: #5c6570; --rule: #dfe3e8; --grid: #e9ecf0;
  --t0: #7a8490; --t1: #0b67b2; --t2: #c2500a; --t3: #0a7f5e; --t4: #8a4fbf; --t5: #a3750a; --t6: #b3325f;
  --bad: #b3261e; --bad-sheet: #fdecea; --warn: #8a5a00; --warn-sheet: #fff4de; --good: #0a7f5e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --sheet: #1c2026; --ink: #eceff3; --soft: #9aa5b1; --rule: #313841; --grid: #262c34;
    --t0: #8d98a5; --t1: #5ab0f2; --t2: #f5935a; --t3: #3fc79f; --t4: #c59bf0; --t5: #e0b54a; --t6: #f07fa5;
    --bad: #ff8a80; --bad-sheet: #3a1d1c; --warn: #f2c26b; --warn-sheet: #35290f; --good: #3fc79f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Ubuntu, Cantarell, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1120px; margin: 0 auto; padding: 40px 20px 64px; }
h1 { font-size: 28px; line-height: 1.25; letter-spacing: -0.01em; font-weight: 650; margin: 0 0 6px; text-wrap: balance; }
h2 { font-size: 18px; font-weight: 650; margin: 48px 0 12px; }
h3 { font-size: 14px; font-weight: 650; margin: 28px 0 4px; }
.lead { color: var(--soft); margin: 0 0 20px; overflow-wrap: anywhere; }
.state { display: inline-block; padding: 1px 10px; border-radius: 99px; font-size: 13px; font-weight: 600; border: 1px solid currentColor; margin-right: 8px; }
.state.good { color: var(--good); } .state.bad { color: var(--bad); } .state.warn { color: var(--warn); }
.alert { border-left: 4px solid var(--bad); background: var(--bad-sheet); padding: 10px 16px; margin: 0 0 20px; border-radius: 0 6px 6px 0; }
.alert.warn { border-color: var(--warn); background: var(--warn-sheet); }
.alert p { margin: 2px 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); border: 1px solid var(--rule); border-radius: 8px; overflow: hidden; margin: 0; }
.tiles div { padding: 14px 16px 12px; box-shadow: 1px 1px 0 var(--rule); }
.tiles dt { color: var(--soft); font-size: 13px; }
.tiles dd { margin: 2px 0 0; font-size: 25px; font-weight: 620; letter-spacing: -0.01em; line-height: 1.25; }
.tiles dd small { font-size: 14px; font-weight: 500; color: var(--soft); letter-spacing: 0; }
.tiles dd span { display: block; font-size: 13px; font-weight: 400; color: var(--soft); letter-spacing: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 36px 40px; margin-top: 36px; }
figure { margin: 0; min-width: 0; }
figure.wide { grid-column: 1 / -1; }
figcaption { font-weight: 650; margin-bottom: 8px; }
figcaption span { display: block; font-size: 12.5px; font-weight: 400; color: var(--soft); min-height: 1.55em; }
svg { display: block; width: 100%; height: auto; overflow: visible; font-size: 12px; }
svg.narrow { display: none; }
svg text { fill: var(--ink); }
svg .tick, svg .title, svg .barnote { fill: var(--soft); }
svg .barnote { font-size: 11px; }
svg .value { font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
svg .barvalue { font-weight: 600; }
svg .name { font-weight: 600; }
.grid { stroke: var(--grid); } .axis, .tickmark { stroke: var(--t0); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.dashed { stroke-dasharray: 5 5; stroke-width: 1.75; }
.whisker { stroke-width: 1.5; opacity: .55; }
.area { opacity: .12; stroke: none; }
.mark { stroke: var(--paper); stroke-width: 1.5; }
.faint { opacity: .35; }
.track { fill: var(--grid); }
${[0, 1, 2, 3, 4, 5, 6]
  .map(
    (tone) =>
      `.line.t${tone}, .whisker.t${tone} { stroke: var(--t${tone}); } ` +
      `.area.t${tone}, .mark.t${tone}, .bar.t${tone}, svg .name.t${tone} { fill: var(--t${tone}); }`,
  )
  .join('\n')}
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: right; padding: 6px 12px; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; font-size: 13px; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 0; margin: 0; font-size: 14px; }
.facts dt { color: var(--soft); padding: 5px 24px 5px 0; border-bottom: 1px solid var(--rule); }
.facts dd { margin: 0; padding: 5px 0; border-bottom: 1px solid var(--rule); overflow-wrap: anywhere; }
.facts dd.code { font: 12.5px/1.6 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
ul { padding-left: 20px; margin: 0; } li { margin: 3px 0; }
footer { color: var(--soft); font-size: 13px; margin-top: 44px; }
@media screen and (max-width: 560px) {
  svg.roomy { display: none; } svg.narrow { display: block; }
  main { padding: 24px 16px 48px; } h1 { font-size: 23px; }
  .facts { grid-template-columns: 1fr; } .facts dt { border: 0; padding-bottom: 0; } .facts dd { padding-top: 0; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --sheet: #ffffff; --ink: #000000; --soft: #444444; --rule: #cccccc; --grid: #e4e4e4;
    --t0: #666666; --t1: #0b67b2; --t2: #c2500a; --t3: #0a7f5e; --t4: #8a4fbf; --t5: #a3750a; --t6: #b3325f;
    --bad: #b3261e; --bad-sheet: #ffffff; --warn: #8a5a00; --warn-sheet: #ffffff; --good: #0a7f5e;
  }
  @page { margin: 14mm; }
  body { font-size: 9.5pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h1 { font-size: 17pt; } .tiles dd { font-size: 14pt; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(110px, 1fr)); } .tiles div { padding: 8px 10px; }
  .scroll { overflow: visible; } table, .facts { font-size: 8.5pt; }
  th { white-space: normal; font-size: 8pt; } th, td { padding: 3px 6px; }
  main { max-width: none; padding: 0; }
  figure, .tiles, tr, .alert { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .charts { grid-template-columns: 1fr 1fr; gap: 24px; }
}
`;
