/**
 * The one script of our own pages: asks for the page again, as a reader would. It waits while somebody types, has marked
 * text, or looks elsewhere, so nothing that was typed or marked is lost.
 */
export const LIVE = `'use strict';
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
