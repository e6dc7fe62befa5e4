// The commands that do by hand what the page does.

/** Quotes a word for a POSIX shell, whatever is in it. */
const quote = (word) => `'${word.replaceAll("'", `'\\''`)}'`;

export const followCommand = (url) => `curl -N ${quote(url)}`;

/** @param keyed whether the request needs the API key, which is then taken from the environment and not shown */
export function publishCommand(url, request, keyed) {
  const lines = [`curl ${quote(url)}`];
  if (keyed) lines.push('-H "Authorization: Bearer $PEAL_API_KEY"');
  lines.push(`-H ${quote("Content-Type: application/json")}`, `-d ${quote(JSON.stringify(request))}`);
  return lines.join(" \\\n  ");
}

export const publishCode = (request) => `await socket.emitWithAck("publish", ${JSON.stringify(request, null, 2)});`;
