// The few things this page needs of a framework.

import { t } from "./i18n.js";

/** The element with this id; a page without it is a mistake to find at once. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** Makes an element. Children that are strings become text nodes, so nothing a visitor wrote is ever markup. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Milliseconds since the epoch as 14:03, or 14:03:09.120 when precise. */
export function clock(at, precise = false) {
  const date = new Date(at);
  const two = (n) => String(n).padStart(2, "0");
  const short = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return precise ? `${short}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}` : short;
}

/** Shows or hides a line of text. */
export function say(target, text) {
  target.textContent = text;
  target.hidden = text === "";
}

/** Sets the dot and the words that tell how a connection is. */
export function setStatus(container, output, state, words) {
  container.dataset.state = state;
  output.textContent = words;
}

/** Copies an element's text and confirms on the button that asked for it. */
export async function copyText(button, source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = t("Copied");
  } catch {
    // Without permission (or HTTPS) the next best thing is a selection to copy by hand.
    getSelection().selectAllChildren(source);
    button.textContent = t("Selected");
  }
  setTimeout(() => { button.textContent = t("Copy"); }, 1500);
}
