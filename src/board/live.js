// @ts-check
/**
 * The only script of the board's own pages. The server sends an event when pages may show something old; the script then
 * fetches the page again and changes `<main>` where it differs. Without it, a page shows the state when it was loaded.
 */
'use strict';

/** Fetching may take a quarter of the time. */
const SHARE = 4;
const LEAST_MS = 1_000;
const RETRY_MS = 3_000;
const PAUSED = 'vidbatch-paused';

const { events = '' } = document.currentScript?.dataset ?? {};
const button = /** @type {HTMLButtonElement} */ (document.getElementById('live'));
const notLive = /** @type {HTMLElement} */ (document.getElementById('not-live'));

/** @type {EventSource | undefined} */
let source;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let isFetching = false;
let isOld = false;
let nextFetch = 0;
/** What does not work now. @type {Set<'events' | 'page'>} */
const broken = new Set();
/** Whether each `<details>` came open. @type {WeakMap<Element, boolean>} */
const cameOpen = new WeakMap();

const isPaused = () => sessionStorage.getItem(PAUSED) !== null;
const main = () => /** @type {HTMLElement} */ (document.querySelector('main'));

/** Text that a person has typed or chosen, and the server does not know. @param {Element} field */
function isEdited(field) {
  if (field instanceof HTMLSelectElement) {
    const options = [...field.options];
    const hasDefault = options.some((option) => option.defaultSelected);
    return options.some((option, index) => {
      const wasSelected = hasDefault || field.multiple ? option.defaultSelected : index === 0;
      return option.selected !== wasSelected;
    });
  }
  if (field instanceof HTMLTextAreaElement) return field.value !== field.defaultValue;
  if (!(field instanceof HTMLInputElement)) return false;
  return field.value !== field.defaultValue || field.checked !== field.defaultChecked;
}

/** Whether a change would disturb what the person does: types, marks text, has opened something or watches a video. */
function isBusy() {
  const shown = main();
  const active = document.activeElement;
  const selection = getSelection();
  return (
    (shown.contains(active) && active !== null && active.matches('input, select, textarea')) ||
    (selection !== null && !selection.isCollapsed && shown.contains(selection.anchorNode)) ||
    [...shown.querySelectorAll('input, select, textarea')].some(isEdited) ||
    [...shown.querySelectorAll('details')].some((one) => one.open !== (cameOpen.get(one) ?? false)) ||
    shown.querySelector('dialog[open]') !== null ||
    [...shown.querySelectorAll('video')].some((one) => !one.paused)
  );
}

/** Changes `old` into `fresh`, and only where they differ: focus, scroll positions and loaded videos stay. @param {Node} old @param {Node} fresh */
function become(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old instanceof Text && fresh instanceof Text) {
    old.data = fresh.data;
    return;
  }
  if (!(old instanceof Element && fresh instanceof Element) || old.nodeName !== fresh.nodeName) {
    old.parentNode?.replaceChild(fresh, old);
    return;
  }
  for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  for (const [index, child] of after.entries()) {
    const known = before[index];
    if (known === undefined) old.append(child);
    else become(known, child);
  }
  for (const child of before.slice(after.length)) child.remove();
}

/** Each time is written in UTC; its title gives it in the zone of this browser. @param {Element} root */
function addLocalTimes(root) {
  for (const time of root.querySelectorAll('time')) {
    const moment = new Date(time.dateTime);
    time.title = moment.toLocaleString(document.documentElement.lang, {
      dateStyle: 'medium',
      timeStyle: 'long',
    });
  }
}

function rememberDetails() {
  for (const one of main().querySelectorAll('details')) cameOpen.set(one, one.open);
}

/** @param {'events' | 'page'} part */
function lose(part) {
  if (broken.size === 0) {
    const time = new Date().toTimeString().slice(0, 8);
    notLive.textContent = (notLive.dataset['text'] ?? '').replace('{time}', time);
    notLive.hidden = false;
  }
  broken.add(part);
}

/** @param {'events' | 'page'} part */
function regain(part) {
  broken.delete(part);
  if (broken.size === 0) notLive.hidden = true;
}

async function fetchPage() {
  const response = await fetch(location.href, { headers: { 'x-vidbatch-live': '1' }, cache: 'no-store' });
  // The session has ended: a browser that loads the page again gets the way to a new one.
  if (response.status === 401 || response.redirected) location.reload();
  if (response.status >= 429) throw new Error(`HTTP ${response.status}`);
  return new DOMParser().parseFromString(await response.text(), 'text/html');
}

/** Fetches the page again if it may be old, now or as soon as nothing prevents it. */
async function refresh() {
  if (!isOld || isFetching || timer !== undefined || isPaused() || document.hidden || isBusy()) return;
  const now = performance.now();
  if (now < nextFetch) {
    timer = setTimeout(() => {
      timer = undefined;
      void refresh();
    }, nextFetch - now);
    return;
  }
  isFetching = true;
  isOld = false;
  let leastMs = LEAST_MS;
  try {
    const page = await fetchPage();
    const fresh = page.querySelector('main');
    if (isPaused() || isBusy()) isOld = true;
    else if (fresh !== null) {
      addLocalTimes(fresh);
      document.title = page.title;
      become(main(), fresh);
      const counts = [document, page].map((one) => one.getElementById('attention'));
      if (counts[0] != null && counts[1] != null) become(counts[0], counts[1]);
      rememberDetails();
    }
    regain('page');
  } catch {
    isOld = true;
    leastMs = RETRY_MS;
    lose('page');
  }
  isFetching = false;
  const ended = performance.now();
  nextFetch = ended + Math.max(leastMs, SHARE * (ended - now));
  void refresh();
}

function connect() {
  if (source !== undefined || isPaused() || document.hidden) return;
  const opened = new EventSource(events);
  source = opened;
  opened.addEventListener('open', () => {
    if (broken.has('events')) isOld = true;
    regain('events');
    void refresh();
  });
  opened.addEventListener('message', () => {
    isOld = true;
    void refresh();
  });
  opened.addEventListener('error', () => {
    lose('events');
    // The browser connects again by itself, except after an answer that is an error.
    if (opened.readyState !== EventSource.CLOSED || source !== opened) return;
    source = undefined;
    setTimeout(connect, RETRY_MS);
  });
}

function disconnect() {
  source?.close();
  source = undefined;
}

/** A tab that is hidden or paused keeps no connection: a browser has only six for each server. */
function update() {
  button.textContent = button.dataset[isPaused() ? 'paused' : 'live'] ?? '';
  if (isPaused() || document.hidden) {
    disconnect();
    return;
  }
  connect();
  void refresh();
}

button.hidden = false;
button.addEventListener('click', () => {
  if (isPaused()) sessionStorage.removeItem(PAUSED);
  else sessionStorage.setItem(PAUSED, '1');
  isOld = true;
  broken.clear();
  notLive.hidden = true;
  update();
});
document.addEventListener('visibilitychange', () => {
  isOld = true;
  update();
});
// After each of these, the person may be done.
for (const type of ['focusout', 'selectionchange', 'change', 'toggle', 'close', 'pause']) {
  document.addEventListener(type, () => void refresh(), true);
}
addLocalTimes(main());
rememberDetails();
update();
