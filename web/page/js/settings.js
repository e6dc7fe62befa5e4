// Who the visitor is and which room they are in: from the address, else from the last visit, else made up.

import { preferred } from "./i18n.js";

const ADJECTIVES = ["brisk", "calm", "clear", "gentle", "keen", "merry", "quiet", "swift", "tidy", "warm"];
const BIRDS = ["avocet", "finch", "heron", "kestrel", "lark", "linnet", "plover", "robin", "siskin", "wren"];

const pick = (from) => from[Math.floor(Math.random() * from.length)];

function stored(key) {
  try {
    return localStorage.getItem(`peal.${key}`) ?? "";
  } catch {
    return "";
  }
}

/** Remembers a setting where the browser allows it. */
export function remember(key, value) {
  try {
    localStorage.setItem(`peal.${key}`, value);
  } catch {
    // A private window forgets; that is what it is for.
  }
}

export const randomName = () => `${pick(ADJECTIVES)} ${pick(BIRDS)}`;

export function initialSettings() {
  const query = new URLSearchParams(location.search);
  return {
    name: query.get("name") || stored("name") || randomName(),
    room: query.get("room") || stored("room") || "lobby",
    theme: stored("theme") || "auto",
    language: query.get("lang") || stored("language") || preferred(navigator.languages ?? []),
  };
}

/** The address of a visitor of a room: a second one, under another name, unless the name is given. */
export function secondVisitor(room, name = randomName()) {
  return `/?${new URLSearchParams({ name, room })}`;
}
