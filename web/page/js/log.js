// A list that grows at the end, follows its end, and stays cheap when a room gets busier than eyes are.

import { el } from "./dom.js";
import { number, t } from "./i18n.js";

const KEEP = 200;

/**
 * @param list  the <ol>; its parent scrolls
 * @param empty what to show while there is nothing
 * @param render makes the <li> of an entry; it is given the entry before it as well, or null
 */
export function createLog(list, empty, render) {
  const scroller = list.parentElement;
  let waiting = [];
  let skipped = 0;
  let last = null;
  let scheduled = false;

  function flush() {
    scheduled = false;
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
    const rows = [];
    if (skipped > 0) {
      rows.push(el("li", { class: "skipped" }, t("{n} more arrived in between", { n: number(skipped) })));
      last = null;
    }
    for (const entry of waiting) {
      rows.push(render(entry, last));
      last = entry;
    }
    waiting = [];
    skipped = 0;
    list.append(...rows);
    while (list.childElementCount > KEEP) list.firstElementChild.remove();
    empty.hidden = list.childElementCount > 0;
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  }

  return {
    /** Adds an entry at the next frame, together with whatever else arrives before it. */
    push(entry) {
      waiting.push(entry);
      if (waiting.length > KEEP) {
        waiting.shift();
        skipped++;
      }
      if (!scheduled) {
        scheduled = true;
        requestAnimationFrame(flush);
      }
    },
    clear() {
      waiting = [];
      skipped = 0;
      last = null;
      list.replaceChildren();
      empty.hidden = false;
    },
  };
}
