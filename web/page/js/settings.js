// Who the visitor is and which room they are in: from the address, else from the last visit, else made up.

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
  };
}

/** The address of a second visitor of the same room, under another name. */
export function secondVisitor(room) {
  return `/?${new URLSearchParams({ name: randomName(), room })}`;
}
