// What the page says, in the visitor's language. English is written where it is said; zh.js has the other words for it.

import zh from "./zh.js";

const DICTIONARIES = { en: {}, zh };
let language = "en";
let words = DICTIONARIES.en;

/** The language for a visitor who has chosen none. */
export const preferred = (languages) => (languages.some((tag) => /^zh\b/i.test(tag)) && !/^en\b/i.test(languages[0] ?? "") ? "zh" : "en");

export function setLanguage(to) {
  language = Object.hasOwn(DICTIONARIES, to) ? to : "en";
  words = DICTIONARIES[language];
}

/** A text, in which {name} stands for the value of that name. */
export function t(text, values = {}) {
  return (words[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** A number as the visitor writes it; compact from a hundred thousand on. */
export function number(value) {
  const locale = language === "zh" ? "zh-CN" : "en";
  if (value < 100_000) return value.toLocaleString(locale);
  return new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

/** Translates what stands in the page: texts of elements with data-t, and attributes with data-t-ATTRIBUTE. */
export function translatePage(root) {
  root.lang = language === "zh" ? "zh-CN" : "en";
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.textContent.trim());
  for (const attribute of ["aria-label", "placeholder", "title"]) {
    for (const node of root.querySelectorAll(`[data-t-${attribute}]`)) node.setAttribute(attribute, t(node.getAttribute(attribute)));
  }
}
