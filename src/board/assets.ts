import { readFileSync } from 'node:fs';
import { STATES } from '../core/states.ts';

/** The style of the board's own pages. It uses system fonts, fetches nothing, and follows the reader's light or dark mode. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #fff; --raised: #f6f7f9; --ink: #1b2129; --soft: #5b6675; --line: #dde1e7; --link: #1a5fb4;
  --pending: #9aa5b4; --submitting: #3584e4; --submitted: #26a269; --uncertain: #e5a50a; --rejected: #c01c28;
  --exhausted: #a5435a; --invalid: #865e3c; --cancelled: #77767b; --abandoned: #504e55;
  --good: #1a7f4b; --warn: #8a6100;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #14181d; --raised: #1d232a; --ink: #e6eaef; --soft: #9ba7b6; --line: #313a45; --link: #78aeed;
    --pending: #6c7888; --rejected: #f66151; --exhausted: #dc8a9c; --invalid: #cdab8f; --cancelled: #9a9996;
    --abandoned: #8d8b94; --submitted: #33d17a; --good: #57d992; --warn: #e8b93c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
a.skip { position: absolute; left: -100vw; }
a.skip:focus { left: .5rem; top: .5rem; z-index: 1; padding: .35rem .75rem; background: var(--ground); border: 2px solid var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
main:focus { outline: 0; }
header { display: flex; flex-wrap: wrap; gap: .4rem 1.25rem; align-items: center; padding: .6rem 1rem;
  border-bottom: 1px solid var(--line); }
header strong { font-size: 1.1rem; }
nav.sections { display: flex; flex-wrap: wrap; gap: .1rem .25rem; }
nav.sections a { padding: .2rem .5rem; border-radius: .35rem; color: var(--soft); text-decoration: none; }
nav.sections a:hover { color: var(--link); background: var(--raised); }
nav.sections a[aria-current] { color: var(--ink); background: var(--raised); font-weight: 600; }
header .reader { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; margin-left: auto; font-size: .875rem; }
footer { max-width: 75rem; margin: 0 auto; padding: .5rem 1rem 1.5rem; color: var(--soft); font-size: .8125rem; overflow-wrap: anywhere; }
#live { font: inherit; font-size: .85rem; color: inherit; background: var(--ground); border: 1px solid var(--line);
  border-radius: .35rem; padding: .1rem .5rem; }
form.leave { margin: 0; }
form.leave button { font: inherit; font-size: .85rem; color: var(--link); background: none; border: 0; padding: 0;
  cursor: pointer; text-decoration: underline; }
main.sign-in { max-width: 26rem; }
main.sign-in label { display: block; margin-bottom: .75rem; }
main.sign-in input { display: block; width: 100%; }
main.sign-in input, main.sign-in button { font: inherit; color: inherit; background: var(--ground);
  padding: .4rem .6rem; border: 1px solid var(--line); border-radius: .35rem; }
main.sign-in button { font-weight: 600; border-color: var(--link); cursor: pointer; }
main.sign-in button:hover { color: var(--link); }
main.sign-in p { margin: 0 0 .85rem; }
main.sign-in .gate::first-letter { text-transform: uppercase; }
#attention { color: var(--rejected); font-weight: 600; }
#not-live { color: var(--rejected); font-size: .875rem; }
main { max-width: 75rem; margin: 0 auto; padding: 1rem; }
a { color: var(--link); }
h1 { font-size: 1.35rem; margin: .25rem 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; }
.card { background: var(--raised); border: 1px solid var(--line); border-radius: .5rem; padding: .85rem 1rem;
  margin-bottom: .85rem; }
.soft { color: var(--soft); font-size: .875rem; overflow-wrap: anywhere; margin: .15rem 0; }
.bar { display: block; width: 100%; height: .6rem; border-radius: .3rem; margin: .6rem 0; background: var(--line); }
.chips { display: flex; flex-wrap: wrap; gap: .35rem .9rem; margin: 0; padding: 0; list-style: none;
  font-variant-numeric: tabular-nums; }
.chips a { color: inherit; text-decoration: none; }
.chips a:hover, .chips a[aria-current] { text-decoration: underline; }
.dot { display: inline-block; width: .65em; height: .65em; border-radius: 50%; margin-right: .35em; }
.gate { margin: .6rem 0 0; padding: .35rem .6rem; border-left: .25rem solid var(--uncertain); background: var(--ground);
  overflow-wrap: anywhere; }
.attention { margin: .5rem 0 0; padding: 0; list-style: none; }
.attention li { margin: 0; padding: .5rem 0 .5rem .75rem; border-left: .25rem solid var(--uncertain); overflow-wrap: anywhere; }
.attention li + li { margin-top: .5rem; }
.attention .paid-twice, .attention .task-shared, .attention .halted, .attention .no-worker, .attention .stopped,
.attention .schedule-failed { border-left-color: var(--rejected); }
.attention p { margin: 0; }
.attention p::first-letter, .gate:has(> strong:first-child)::first-letter { text-transform: uppercase; }
.named { display: flex; flex-wrap: wrap; gap: 0 .75rem; align-items: center; }
.top { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .25rem 1rem; align-items: baseline; }
.top nav.acts { margin: 0 0 .75rem; }
.attention .steps { display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: center; margin-top: .25rem; font-size: .875rem; }
code { font: .9em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
.attention code { color: var(--soft); }
.badge { display: inline-block; padding: .05rem .55rem; border: 1px solid currentColor; border-radius: 1rem; font-size: .8125rem;
  font-weight: 500; line-height: 1.4; color: var(--soft); vertical-align: middle; white-space: nowrap; }
.badge.good { color: var(--good); }
.badge.bad { color: var(--rejected); }
.badge.warning { color: var(--warn); }
.card.batch { display: grid; grid-template-columns: auto auto 1fr; gap: 0 .75rem; align-items: baseline; padding: .7rem 1rem; }
.card.batch > * { grid-column: 1 / -1; }
.card.batch > h2 { grid-column: 1; font-size: 1rem; }
.card.batch > .badge { grid-column: 2; align-self: center; }
.card.batch > .pace { grid-column: 3; margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
.card.batch .bar { margin: .45rem 0; }
.card.batch .chips { font-size: .875rem; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { padding: .35rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { background: var(--raised); white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td.code { font-family: ui-monospace, monospace; font-size: .8125rem; overflow-wrap: anywhere; min-width: 8rem; }
td.state { white-space: nowrap; }
td.text { max-width: 32rem; overflow-wrap: anywhere; }
td.long { min-width: 14rem; max-width: 40rem; overflow-wrap: anywhere; }
nav.acts, p.acts { display: flex; flex-wrap: wrap; gap: .5rem; margin: .75rem 0; }
.card > :last-child { margin-bottom: 0; }
a.act, button.act { display: inline-block; font: inherit; font-size: .875rem; line-height: 1.4; color: var(--ink);
  background: var(--ground); border: 1px solid var(--line); border-radius: .35rem; padding: .25rem .7rem;
  text-decoration: none; cursor: pointer; }
a.act:hover, button.act:hover, a.act:focus-visible { border-color: var(--link); color: var(--link); }
button.act { font-weight: 600; border-color: var(--link); }
form.act input:not([type=hidden]) { font: inherit; color: inherit; background: var(--ground); padding: .3rem .6rem;
  border: 1px solid var(--soft); border-radius: .35rem; max-width: 100%; width: 20rem; }
table.stake { width: auto; }
form.act input[type=number] { width: 7rem; }
.done { margin: 0 0 .85rem; padding: .5rem .75rem; border-left: .25rem solid var(--submitted); background: var(--raised);
  overflow-wrap: anywhere; }
form.find { display: flex; gap: .5rem; margin: 0 0 .75rem; }
form.find input, form.find button { font: inherit; color: inherit; background: var(--ground); padding: .3rem .6rem;
  border: 1px solid var(--line); border-radius: .35rem; }
form.find input { min-width: 0; width: 20rem; }
form.search input { font: inherit; font-size: .875rem; color: inherit; background: var(--ground); padding: .15rem .5rem;
  border: 1px solid var(--line); border-radius: .35rem; min-width: 0; width: 12rem; }
nav.pages a[aria-current] { font-weight: 600; text-decoration: none; color: inherit; }
pre { margin: .5rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; font: .8125rem/1.45 ui-monospace, monospace; }
.card p, .card a, main p, main li { overflow-wrap: anywhere; }
h2.part { margin: 1.25rem 0 .5rem; }
nav.pages { display: flex; gap: 1rem; margin: 1rem 0; }
${STATES.map((state) => `.${state} { fill: var(--${state}); } .dot.${state} { background: var(--${state}); }`).join('\n')}
h3 { font-size: 1rem; margin: 1.1rem 0 .15rem; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: .85rem; align-items: start; }
.sides > * { min-width: 0; }
dl.evidence { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem .9rem; margin: .6rem 0 0; font-size: .875rem; }
dl.evidence dt { color: var(--soft); }
dl.evidence dd { margin: 0; color: var(--ink); overflow-wrap: anywhere; }
dl.evidence dd.fact { font-family: ui-monospace, monospace; font-size: .8125rem; }
form.settle label { display: block; margin: .5rem 0; }
form.settle input:not([type=radio]), form.settle textarea { font: inherit; color: inherit;
  background: var(--ground); padding: .3rem .6rem; border: 1px solid var(--soft); border-radius: .35rem; }
form.settle input:not([type=radio]), form.settle textarea { display: block; width: 100%; min-width: 0; }
form.settle textarea { font: .8125rem/1.45 ui-monospace, monospace; }
fieldset.candidates { border: 1px solid var(--line); border-radius: .35rem; margin: .75rem 0 0; padding: .25rem .75rem; min-width: 0; }
form.settle .choice { display: flex; align-items: baseline; gap: .5rem; overflow-wrap: anywhere; }
.card > p:first-child { margin-top: 0; }
.choice > span { min-width: 0; }
.choice .soft { display: block; }
@media (max-width: 40rem) {
  dl.evidence { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dl.evidence dd { margin-bottom: .5rem; }
  header .reader { margin-left: 0; }
  form.search { flex: 1 1 100%; }
  form.search input { width: 100%; }
  table, tbody, tr, td { display: block; }
  .card.batch { grid-template-columns: minmax(0, auto) auto 1fr; }
  .card.batch > .pace { grid-column: 1 / -1; text-align: left; }
  thead { display: none; }
  tr { padding: .5rem 0; border-bottom: 1px solid var(--line); }
  tr:last-child { border-bottom: 0; }
  td, td.number { border: 0; padding: .1rem .75rem; text-align: left; min-width: 0; max-width: none; }
  td:empty { display: none; }
  td[data-name]::before { content: attr(data-name) ": "; color: var(--soft); font-family: system-ui, sans-serif; }
  html[lang=zh-CN] td[data-name]::before { content: attr(data-name) "："; }
}
@media (prefers-reduced-motion: reduce) {
  * { animation: none !important; transition: none !important; scroll-behavior: auto !important; }
}
@media print {
  :root { color-scheme: light; }
  a.skip, header, footer, nav.acts, nav.pages, form { display: none; }
  .card, .wide, figure { break-inside: avoid; }
}
`;

/** The script of the board's own pages. */
export const LIVE_SCRIPT = readFileSync(new URL('live.js', import.meta.url), 'utf8');
