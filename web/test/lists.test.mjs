import assert from "node:assert/strict";
import { test } from "node:test";
import { formatNames, parseNames } from "../page/js/lists.js";

test("names have commas between, or are a JSON array", () => {
  for (const [text, names] of [
    ["", []],
    [" , ,", []],
    ["lobby", ["lobby"]],
    [" a , b,a ", ["a", "b"]],
    ["一，二", ["一", "二"]],
    ['["a,b", " c "]', ["a,b", " c "]],
    ["[]", []],
    ["two words, x", ["two words", "x"]],
  ]) assert.deepEqual(parseNames(text), names, text);
});

test("what begins like an array and is none is an error", () => {
  for (const text of ["[", "[1]", '["a", ""]', "[null]", '[["a"]]', "[a, b]"]) assert.throws(() => parseNames(text), text);
});

test("written names are read again", () => {
  for (const names of [[], ["a"], ["a", "b"], ["a,b"], [" a "], ["[x]"], ["，"], ["x".repeat(255), "'\""]]) {
    assert.deepEqual(parseNames(formatNames(names)), names);
  }
});
