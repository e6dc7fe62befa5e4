// The commands that do by hand what the page does.

/** Quotes a word for a POSIX shell, whatever is in it. */
const quote = (word) => `'${word.replaceAll("'", `'\\''`)}'`;

/** Proves the API key, which is taken from the environment and not shown. */
const PROOF = '-H "Authorization: Bearer $PEAL_API_KEY"';

/** @param keyed whether the request needs the API key */
export const followCommand = (url, keyed) => [`curl -N ${quote(url)}`, ...(keyed ? [PROOF] : [])].join(" \\\n  ");

/** @param keyed whether the request needs the API key */
export function publishCommand(url, request, keyed) {
  const lines = [`curl ${quote(url)}`];
  if (keyed) lines.push(PROOF);
  lines.push(`-H ${quote("Content-Type: application/json")}`, `-d ${quote(JSON.stringify(request))}`);
  return lines.join(" \\\n  ");
}

export const publishCode = (request) => `await socket.emitWithAck("publish", ${JSON.stringify(request, null, 2)});`;
