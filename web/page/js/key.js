// The API key: asked for when the node wants one, and kept in this page only.

import { byId } from "./dom.js";
import { t } from "./i18n.js";

let key = "";

export const apiKey = () => key;

/** The headers that prove it. */
export const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});

/** @param onKey called when the visitor has given another key, or taken it back */
export function createKeyForm(onKey) {
  const form = byId("key-form");
  const box = byId("key");

  form.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    key = box.value.trim();
    form.hidden = true;
    onKey();
  });

  function open(why) {
    const was = form.hidden;
    byId("key-why").textContent = why;
    form.hidden = false;
    if (was) {
      form.scrollIntoView({ block: "nearest" });
      box.focus();
      box.select();
    }
  }

  byId("key-open").addEventListener("click", () => open(t("API key of this node")));
  return {
    /** Asks for the key, or for another one. */
    ask(reason) {
      if (reason.code === "token_required" && key !== "") return; // the key is on its way
      open(reason.code === "invalid_token" ? t("That is not this node's API key. Try another one:") : t("This node wants its API key:"));
    },
  };
}
