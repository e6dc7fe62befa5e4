import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { number, preferred, setLanguage, t } from "../page/js/i18n.js";
import zh from "../page/js/zh.js";

const page = new URL("../page/", import.meta.url);

/** Every text that the page says: in its markup and in its modules. */
async function texts() {
  const found = new Set();
  const html = (await readFile(new URL("index.html", page), "utf8")).replace(/\s+/g, " ");
  for (const [, text] of html.matchAll(/ data-t>([^<]*)</g)) found.add(text.trim());
  for (const attribute of ["aria-label", "placeholder", "title"]) {
    for (const [tag] of html.matchAll(new RegExp(`<[^>]* data-t-${attribute}[ >]`, "g"))) {
      found.add(new RegExp(`${attribute}="([^"]*)"`).exec(tag)[1]);
    }
  }
  for (const name of await readdir(new URL("js/", page))) {
    const source = await readFile(new URL(`js/${name}`, page), "utf8");
    const calls = [...source.matchAll(/\bt\(/g)].length;
    const literal = [...source.matchAll(/\bt\(\s*"((?:[^"\\]|\\.)*)"/g)];
    if (name !== "i18n.js") assert.equal(literal.length, calls, `${name}: a call of t() without a literal text`);
    for (const [, text] of literal) found.add(text);
  }
  return found;
}

test("every text has a translation, and every translation a text", async () => {
  const said = await texts();
  assert.ok(said.size > 50, `only ${said.size} texts found: the page is written in another way than this test reads`);
  assert.deepEqual([...said].filter((text) => !Object.hasOwn(zh, text)), [], "untranslated");
  assert.deepEqual(Object.keys(zh).filter((text) => !said.has(text)), [], "translations of what is not said");
});

test("a translation has the same values in it", () => {
  const values = (text) => [...text.matchAll(/\{\w+\}/g)].map(([value]) => value).sort();
  for (const [text, other] of Object.entries(zh)) assert.deepEqual(values(other), values(text), text);
});

test("texts take their values, in either language", () => {
  setLanguage("zh");
  assert.equal(t("Not in {room}: {reason}.", { room: "大厅", reason: "x" }), "未能进入 大厅：x。");
  assert.equal(t("never said"), "never said");
  setLanguage("en");
  assert.equal(t("Not in {room}: {reason}.", { room: "{reason}", reason: "$&" }), "Not in {reason}: $&.");
  setLanguage("__proto__");
  assert.equal(t("Send"), "Send");
});

test("numbers are short when they are long", () => {
  setLanguage("en");
  assert.equal(number(99_999), "99,999");
  assert.equal(number(1_234_567), "1.2M");
});

test("Chinese is for those whose browser says so first", () => {
  assert.equal(preferred(["zh-CN", "en"]), "zh");
  assert.equal(preferred(["zh"]), "zh");
  assert.equal(preferred(["en-GB", "zh"]), "en");
  assert.equal(preferred(["de", "zh-TW", "en"]), "zh");
  assert.equal(preferred([]), "en");
});
