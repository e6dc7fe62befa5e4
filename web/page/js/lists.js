// Lists of names as one types them.

/**
 * Names with commas between. A JSON array of strings is taken as such, for names that have commas in them.
 * @throws when it begins like an array and is none
 */
export function parseNames(text) {
  const trimmed = text.trim();
  if (!trimmed.startsWith("[")) return unique(trimmed.split(/[,，]/).map((part) => part.trim()).filter(Boolean));
  const list = JSON.parse(trimmed);
  if (!list.every((name) => typeof name === "string" && name !== "")) throw new Error("not an array of names");
  return unique(list);
}

/** Writes names so that parseNames reads them again. */
export function formatNames(names) {
  const plain = names.every((name) => name === name.trim() && name !== "" && !/[,，]/.test(name) && !name.startsWith("["));
  return plain ? names.join(", ") : JSON.stringify(names);
}

const unique = (names) => [...new Set(names)];
