import { STAGES } from '../../core/video-stage.ts';

/** The style of the pages of a batch, of a row and of videos; a part of the style sheet. */
export const ROW_STYLE = `
:root { --waiting: #9aa5b4; --sent: #3584e4; --rendering: #7d5bd0; --completed: #26a269; --downloaded: #15733f;
  --failed: #e01b24; --missing: #c64600; --note: #77767b; }
@media screen and (prefers-color-scheme: dark) {
  :root { --waiting: #6c7888; --sent: #62a0ea; --rendering: #a78bfa; --completed: #33d17a; --downloaded: #8ff0a4;
    --failed: #f66151; --missing: #ff9e4f; }
}
${[...STAGES, 'note'].map((name) => `.bar .${name} { fill: var(--${name}); } .dot.${name} { background: var(--${name}); }`).join('\n')}
main:has(.rows), main:has(.videos), main:has(.failures) { max-width: 100rem; }
main:has(.rows) + footer, main:has(.videos) + footer, main:has(.failures) + footer { max-width: 100rem; }
.rows td.id span { display: block; max-width: 13rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  font: .8125rem/1.5 ui-monospace, monospace; }
.rows td.code { min-width: 9rem; max-width: 16rem; }
.failures td > div { margin-top: .35rem; }
.failures td.text { min-width: 7rem; max-width: 16rem; }
.gate + .wide { margin-top: .75rem; }
.rows td.state .soft { font-size: inherit; }
.rows td.text { min-width: 9rem; max-width: 22rem; }
.rows td.text:last-child { min-width: 13rem; }
td.time, td.number { white-space: nowrap; }
dl.totals { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; margin: 0 0 1rem; }
dl.totals dt { color: var(--soft); font-size: .875rem; }
dl.totals dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
th.number { text-align: right; }
.chips a[aria-current] { font-weight: 600; }
.card > p { margin: .5rem 0 0; }
.rows th a { color: inherit; }
form.find { flex-wrap: wrap; align-items: center; }
form.find select { font: inherit; color: inherit; background: var(--ground); padding: .3rem .4rem; max-width: 100%;
  border: 1px solid var(--line); border-radius: .35rem; }
form.find input { flex: 0 1 14rem; }
nav.pages { flex-wrap: wrap; gap: .35rem 1rem; }
nav.pages span { color: var(--soft); font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(max(9.5rem, 22%), 1fr)); gap: .75rem; margin-bottom: .85rem; }
.charts figure { margin: 0; padding: .6rem .75rem; background: var(--raised); border: 1px solid var(--line);
  border-radius: .5rem; min-width: 0; }
.charts figcaption { color: var(--soft); font-size: .875rem; overflow-wrap: anywhere; }
.charts figcaption strong { color: var(--ink); font-variant-numeric: tabular-nums; }
.charts figure svg { display: block; width: 100%; height: 3rem; margin-top: .35rem; }
.charts .axis { display: flex; justify-content: space-between; gap: .5rem; margin: .25rem 0 0; color: var(--soft); font-size: .75rem;
  font-variant-numeric: tabular-nums; }
.charts .first { fill: var(--link); }
.charts .second { fill: var(--link); opacity: .4; }
.charts .grid { stroke: var(--line); }
.charts > p, .charts > details { grid-column: 1 / -1; margin: 0; }
.charts summary { cursor: pointer; color: var(--soft); font-size: .875rem; }
.charts details .wide { margin-top: .5rem; max-height: 20rem; overflow: auto; }
.gate.failed { border-left-color: var(--failed); }
.card > .gate:first-child { margin-bottom: .6rem; }
.gate code { overflow-wrap: anywhere; }
.stages { display: flex; flex-wrap: wrap; gap: .35rem .6rem; margin: 0 0 .75rem; padding: 0; list-style: none; }
.stages li { padding: .15rem .6rem; border: 1px solid var(--line); border-radius: 1rem; background: var(--ground); }
.stages .ahead { color: var(--soft); border-style: dashed; }
.stages .ahead .dot { border: 1px solid var(--soft); }
.stages [aria-current] { font-weight: 600; border-color: currentColor; }
.path { margin: 0; padding: 0; list-style: none; }
.path > li { display: flex; gap: .35rem; padding: 0 0 .75rem; position: relative; }
.path > li:not(:last-child)::before { content: ""; position: absolute; left: .3rem; top: 1.1rem; bottom: -.35rem;
  border-left: 1px solid var(--line); }
.path .dot { flex: none; margin-top: .4rem; position: relative; }
.path > li > div { min-width: 0; overflow-wrap: anywhere; }
.path time { margin-left: .35rem; color: var(--soft); font-variant-numeric: tabular-nums; }
.evidence { margin: .1rem 0 0; font-size: .875rem; color: var(--soft); }
.video video { display: block; width: 100%; max-width: 48rem; aspect-ratio: 16 / 9; background: #000; border-radius: .5rem; }
.videos { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: .85rem; margin: 0;
  padding: 0; list-style: none; }
.videos .card { margin: 0; min-width: 0; }
.videos p { margin: .2rem 0; overflow-wrap: anywhere; }
.videos video, .videos .frame { display: flex; width: 100%; aspect-ratio: 16 / 9; border-radius: .35rem; margin-bottom: .4rem; }
.videos video { background: #000; }
.videos .frame { align-items: center; justify-content: center; color: var(--soft); border: 1px dashed var(--line); }
.videos .prompt { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden;
  font-size: .875rem; }
.checks { margin: .5rem 0 0; padding: 0; list-style: none; }
.checks li { padding: .25rem 0; overflow-wrap: anywhere; }
.checks p { margin: 0; }
.checks .dot + code { margin-right: .35rem; color: var(--soft); }
.dead { color: var(--rejected); font-weight: 600; }
@media (max-width: 40rem) {
  .rows td.id span { display: inline; max-width: none; white-space: normal; overflow-wrap: anywhere; }
  .rows tr { display: grid; grid-template-columns: 1fr 1fr; }
  .rows td.text, .rows td.code, .rows td.id { grid-column: 1 / -1; max-width: none; }
  .rows td.code { order: -1; font-size: .9375rem; }
  .rows tr { margin: .5rem; padding: .5rem 0; border: 1px solid var(--line); border-radius: .5rem; background: var(--raised); }
  .rows tr:last-child { border-bottom: 1px solid var(--line); }
  .rows td.text:last-child { min-width: 0; }
  .videos .frame { aspect-ratio: auto; min-height: 4rem; }
  form.find input { flex: 1 1 100%; }
  form.find select { flex: 1 1 40%; min-width: 0; }
}
@media print {
  form.find, .charts summary { display: none; }
  .wide { overflow: visible; }
  .rows { font-size: .6875rem; }
  .rows th, .rows td, .rows td.code, .rows td.text, .rows td.text:last-child { min-width: 0; padding: .2rem .3rem;
    white-space: normal; overflow-wrap: anywhere; }
  .rows th, .rows td.state { overflow-wrap: normal; }
  .rows td.code { min-width: 4.5rem; }
  .rows td.code, .rows td.id span { font-size: .625rem; }
  .rows td.id span { white-space: normal; }
}
`;
