// Ties the page together: one visitor in one room, seen through two transports.

import { createChat } from "./chat.js";
import { byId, copyText, el } from "./dom.js";
import { setLanguage, t, translatePage } from "./i18n.js";
import { apiKey, authorization, createKeyForm } from "./key.js";
import { startMembers } from "./members.js";
import { createPublish } from "./publish.js";
import { initialSettings, randomName, remember, secondVisitor } from "./settings.js";
import { startStats } from "./stats.js";
import { createStream } from "./stream.js";

const SUGGESTED_ROOMS = ["lobby", "kitchen", "ops"];

const who = initialSettings();
setLanguage(who.language);
translatePage(document.documentElement);

const bell = byId("bell");
const ring = () => bell.classList.add("ring");
bell.addEventListener("animationend", () => bell.classList.remove("ring"));

const key = createKeyForm(() => {
  stream.reconnect();
  chat.reconnect();
  stats.retry();
  members.retry();
  publish.refresh();
});
const stream = createStream(ring, key.ask);
const chat = createChat(who, ring, apiKey, key.ask);
const stats = startStats(authorization);
const publish = createPublish(chat.ask, key.ask);
const members = startMembers(who, () => chat.id, changeRoom);

function showRoom() {
  byId("room").value = who.room;
  byId("room").title = who.room; // the whole of a long one
  byId("second").href = secondVisitor(who.room);
  byId("messages-empty").textContent = t(
    "Nothing said in {room} yet. Write the first line, or open a second window and talk to yourself.", { room: who.room });
  for (const chip of byId("room-chips").children) {
    chip.setAttribute("aria-pressed", String(chip.textContent === who.room));
  }
}

function changeRoom(to) {
  const room = to.trim();
  if (room === "" || room === who.room) {
    showRoom();
    return;
  }
  const from = who.room;
  who.room = room;
  remember("room", room);
  showRoom();
  publish.follow(from, room);
  chat.enter(room);
  stream.open(room);
  members.retry();
}

function changeName(to) {
  who.name = to.trim() || randomName();
  byId("name").value = who.name;
  remember("name", who.name);
}

function changeTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  remember("theme", theme);
}

for (const room of SUGGESTED_ROOMS) {
  const chip = el("button", { type: "button" }, room);
  chip.addEventListener("click", () => changeRoom(room));
  byId("room-chips").append(chip);
}
for (const choice of document.querySelectorAll('input[name="theme"]')) {
  choice.checked = choice.value === who.theme;
  choice.addEventListener("change", () => changeTheme(choice.value));
}
for (const choice of document.querySelectorAll('input[name="language"]')) {
  choice.checked = choice.value === who.language;
  choice.addEventListener("change", () => {
    remember("language", choice.value);
    // Said once, a text is not said again: the page begins anew.
    location.replace(secondVisitor(who.room, who.name));
  });
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copyText(button, byId(button.dataset.copy)));
}
byId("who").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  document.activeElement?.blur(); // which fires "change" on the field that was edited
});
byId("room").addEventListener("change", () => changeRoom(byId("room").value));
byId("name").addEventListener("change", () => changeName(byId("name").value));
// A name opened by "second window" is made up anew each time, so two windows are never the same person.
byId("second").addEventListener("click", () => setTimeout(showRoom));

byId("name").value = who.name;
publish.follow("", who.room);
showRoom();
stream.open(who.room);
