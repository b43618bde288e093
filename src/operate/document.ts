import { Html, html } from '../core/html.ts';

/**
 * One HTML file for people without vidbatch: nothing in it is loaded from elsewhere, and nothing runs. It can be printed,
 * and follows the reader's light or dark colours.
 */
export function htmlDocument(title: string, body: Html): string {
  const { markup } = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <meta name="referrer" content="no-referrer" />
        <title>${title}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <main>${body}</main>
      </body>
    </html>`;
  return `${markup}
`;
}

/** A term with its value, such as in a list of facts. */
export type Fact = readonly [term: string, value: string | Html];

export function factList(facts: readonly Fact[]): Html {
  return html`<dl class="facts">
    ${facts.map(
      ([term, value]) =>
        html`<div>
          <dt>${term}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5f6872; --line: #d9dee3; --paper: #fff; --card: #f6f8fa;
  --good: #1a7f4b; --bad: #c4314b; --warning: #96670a; --main: #2463b8; --other: #7a5bc0; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa4ae; --line: #363d45; --paper: #16191d;
  --card: #1f242a; --good: #4cc38a; --bad: #ff7a8c; --warning: #e0b04a; --main: #6aa9ff; --other: #b39df3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "PingFang SC", "Microsoft YaHei",
  "Noto Sans CJK SC", sans-serif; overflow-wrap: anywhere; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { margin: .4rem 0; }
.soft { color: var(--soft); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.facts > div { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .7rem; }
.facts dt { color: var(--soft); font-size: .85rem; }
.facts dd { margin: 0; font-size: 1.05rem; font-variant-numeric: tabular-nums; }
.facts .bad { color: var(--bad); }
.facts .warning { color: var(--warning); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td { overflow-wrap: normal; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code, pre { font: .85em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { white-space: pre-wrap; margin: .2rem 0; }
.chart { width: 100%; max-width: 46rem; height: auto; display: block; margin: .4rem 0; }
.chart text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.chart .axis, .chart .label { fill: var(--soft); }
.grid { stroke: var(--line); }
.line { stroke-width: 2; }
.bar.good { fill: var(--good); } .line.good { stroke: var(--good); }
.bar.bad { fill: var(--bad); } .line.bad { stroke: var(--bad); }
.bar.warning { fill: var(--warning); } .line.warning { stroke: var(--warning); }
.bar.main { fill: var(--main); } .line.main { stroke: var(--main); }
.bar.other { fill: var(--other); } .line.other { stroke: var(--other); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; margin: .2rem 0; font-size: .9rem; }
.legend svg { width: .7rem; height: .7rem; margin-right: .35rem; }
.entry { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; margin: .6rem 0; break-inside: avoid; }
.entry h3 { margin: 0 0 .3rem; font-size: 1rem; }
.entry dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .9rem; margin: 0; font-size: .9rem; }
.entry dt { color: var(--soft); } .entry dd { margin: 0; }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --card: #fff; }
  main { max-width: none; padding: 0; } h2 { break-after: avoid; } .chart, tr { break-inside: avoid; } }
`;
