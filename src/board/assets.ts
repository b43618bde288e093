import { STATES } from '../core/states.ts';

/** The style of the board's own pages. It uses system fonts, fetches nothing, and follows the reader's light or dark mode. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #fff; --raised: #f6f7f9; --ink: #1b2129; --soft: #5b6675; --line: #dde1e7; --link: #1a5fb4;
  --pending: #9aa5b4; --submitting: #3584e4; --submitted: #26a269; --uncertain: #e5a50a; --rejected: #c01c28;
  --exhausted: #a5435a; --task-failed: #e01b24; --invalid: #865e3c; --cancelled: #77767b; --abandoned: #504e55;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14181d; --raised: #1d232a; --ink: #e6eaef; --soft: #9ba7b6; --line: #313a45; --link: #78aeed;
    --pending: #6c7888; --rejected: #f66151; --exhausted: #dc8a9c; --invalid: #cdab8f; --cancelled: #9a9996;
    --abandoned: #8d8b94; --submitted: #33d17a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; align-items: baseline; padding: .75rem 1rem;
  border-bottom: 1px solid var(--line); }
header strong { font-size: 1.1rem; }
header .place { color: var(--soft); font-size: .85rem; margin-left: auto; }
main { max-width: 75rem; margin: 0 auto; padding: 1rem; }
a { color: var(--link); }
h1 { font-size: 1.35rem; margin: .25rem 0 1rem; overflow-wrap: anywhere; }
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
.attention { margin: .35rem 0 0; padding-left: 1.1rem; }
.attention li { margin: .35rem 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { padding: .35rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { background: var(--raised); white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td.code { font-family: ui-monospace, monospace; font-size: .8125rem; overflow-wrap: anywhere; min-width: 8rem; }
td.state { white-space: nowrap; }
td.text { min-width: 12rem; max-width: 32rem; overflow-wrap: anywhere; }
form.find { display: flex; gap: .5rem; margin: 0 0 .75rem; }
form.find input, form.find button { font: inherit; color: inherit; background: var(--ground); padding: .3rem .6rem;
  border: 1px solid var(--line); border-radius: .35rem; }
form.find input { min-width: 0; width: 20rem; }
form.search input { font: inherit; font-size: .875rem; color: inherit; background: var(--ground); padding: .15rem .5rem;
  border: 1px solid var(--line); border-radius: .35rem; min-width: 0; width: 12rem; }
nav.pages a[aria-current] { font-weight: 600; text-decoration: none; color: inherit; }
pre { margin: .5rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; font: .8125rem/1.45 ui-monospace, monospace; }
.card p, .card a { overflow-wrap: anywhere; }
h2.part { margin: 1.25rem 0 .5rem; }
nav.pages { display: flex; gap: 1rem; margin: 1rem 0; }
${[...STATES, 'task-failed'].map((state) => `.${state} { fill: var(--${state}); } .dot.${state} { background: var(--${state}); }`).join('\n')}
@media (max-width: 40rem) {
  header .place { margin-left: 0; }
  table, tbody, tr, td { display: block; }
  thead { display: none; }
  tr { padding: .5rem 0; border-bottom: 1px solid var(--line); }
  tr:last-child { border-bottom: 0; }
  td, td.number { border: 0; padding: .1rem .75rem; text-align: left; min-width: 0; max-width: none; }
  td:empty { display: none; }
  td[data-name]::before { content: attr(data-name) ": "; color: var(--soft); font-family: system-ui, sans-serif; }
}
`;

/**
 * The only script of the board's own pages: it reloads the page. It waits while a person types, has selected text or looks
 * at another tab, so that no typed or selected text is lost.
 */
export const LIVE_SCRIPT = `'use strict';
const seconds = Number(document.currentScript.dataset.seconds);
const isBusy = () =>
  document.hidden ||
  document.activeElement instanceof HTMLInputElement ||
  [...document.querySelectorAll('input')].some((input) => input.value !== input.defaultValue) ||
  String(getSelection()) !== '';
setInterval(() => {
  if (!isBusy()) location.reload();
}, seconds * 1000);
`;
