// Why something did not work, said so that one knows what to do.

import { t } from "./i18n.js";

/** @param reason has a code, and the server's own message if it gave one: a Refusal, or the reason of a state */
export function explain({ code, message, said = message }) {
  switch (code) {
    case "unreachable":
      return t("the node cannot be reached");
    case "closed":
      return t("the connection was closed");
    case "silent":
      return t("nothing came for too long");
    case "sent away":
      return t("the node has disconnected this client");
    case "not_connected":
      return t("there is no connection");
    case "no_reply":
      return t("no answer came in time");
    case "unreadable":
      return t("what came is not Socket.IO");
    case "status":
      return t("the answer has the status {status}; is a proxy in between?", { status: message });
    case "token_required":
      return t("this node wants its API key");
    case "invalid_token":
      return t("that is not this node's API key");
    default:
      return code && said ? `${said} (${code})` : said || code || t("something unexpected");
  }
}

/** Whether a key could help. */
export const wantsKey = (reason) => reason.code === "token_required" || reason.code === "invalid_token";
