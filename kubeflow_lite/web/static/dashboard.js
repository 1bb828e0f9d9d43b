// The pages work without this. With it they stay true (server-sent events), answer in place, and know their keys.
"use strict";
const $ = (id) => document.getElementById(id);
const meta = (name) => document.querySelector(`meta[name=${name}]`)?.content ?? "";
const say = (text) => { $("said").textContent = text; };

// Ages are counted here: a row changes when the cluster does, and not with every second.
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { style: "narrow" });
function age(seconds) {
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]])
    if (seconds >= size) return relative.format(-Math.floor(seconds / size), unit);
  return relative.format(-Math.max(0, Math.floor(seconds)), "second");
}
function tick(root = document) {
  const now = Date.now();
  for (const one of root.querySelectorAll("time[datetime]")) {
    const text = age((now - Date.parse(one.dateTime)) / 1000);
    if (one.textContent !== text) one.textContent = text;
  }
  for (const one of root.querySelectorAll("progress[data-since]"))
    one.value = Math.min(one.max * 0.97, (now - Date.parse(one.dataset.since)) / 1000);
  for (const one of root.querySelectorAll("button.copy[hidden]")) one.hidden = false;
}
setInterval(tick, 1000);
tick();

// Parts are replaced one by one; the focus stays where it was.
function replace(key, html) {
  const old = $("p-" + key);
  if (!old) return;
  const held = old.contains(document.activeElement) ? document.activeElement.id : "";
  const template = document.createElement("template");
  template.innerHTML = html;
  const fresh = template.content.firstElementChild;
  tick(template.content);
  old.replaceWith(fresh);
  if (held) { rove($(held)); $(held)?.focus({ preventScroll: true }); }
}

function follow() {
  const url = meta("live");
  if (!url) return;
  const source = new EventSource(`${url}?since=${encodeURIComponent(meta("version"))}`);
  const live = $("live");
  const told = (on) => {
    const text = document.body.dataset[on ? "live" : "notLive"];
    if (live.textContent !== text) live.textContent = text;
    live.classList.toggle("off", !on);
  };
  source.onopen = () => told(true);
  source.onerror = () => { told(false); if (source.readyState === EventSource.CLOSED) setTimeout(follow, 3000); };
  source.onmessage = (event) => {
    for (const [key, html] of Object.entries(JSON.parse(event.data))) replace(key, html);
    document.dispatchEvent(new CustomEvent("updated"));
    rove();
  };
  source.addEventListener("reload", () => { source.close(); setTimeout(() => location.reload(), 300); });
}
follow();

// The grid is one stop of the Tab key; arrows move in it, Home and End to its edges.
const grid = $("grid");
function rove(cell) {
  if (!grid) return;
  const current = cell?.classList?.contains("cell") ? cell : grid.querySelector(".cell[tabindex='0']");
  for (const one of grid.querySelectorAll(".cell[tabindex='0']")) if (one !== current) one.tabIndex = -1;
  const first = current ?? grid.querySelector(".cell");
  if (first) first.tabIndex = 0;
}
rove();
grid?.addEventListener("focusin", (event) => { if (event.target.classList.contains("cell")) rove(event.target); });
grid?.addEventListener("keydown", (event) => {
  const cell = event.target.closest(".cell");
  if (!cell) return;
  const row = cell.closest(".row");
  const cells = [...row.querySelectorAll(".cell")];
  const index = cells.indexOf(cell);
  const below = (line) => line?.querySelectorAll(".cell")[index];
  const to = {
    ArrowRight: () => cells[index + 1], ArrowLeft: () => cells[index - 1],
    ArrowDown: () => below(row.nextElementSibling), ArrowUp: () => below(row.previousElementSibling),
    Home: () => cells[0], End: () => cells.at(-1),
  }[event.key];
  if (!to) return;
  event.preventDefault();
  to()?.focus();
});

// A cell's hint in a dialog; a plain link where the script does not run.
async function show(url) {
  const answer = await fetch(url + "?part", { headers: { Accept: "text/html" } });
  if (!answer.ok) return location.assign(url);
  const dialog = $("detail");
  dialog.innerHTML = await answer.text();
  const close = document.createElement("button");
  close.className = "quiet close";
  close.textContent = "✕";
  close.setAttribute("aria-label", document.body.dataset.close);
  close.onclick = () => dialog.close();
  dialog.append(close);
  tick(dialog);
  if (!dialog.open) dialog.showModal();
}
document.addEventListener("click", async (event) => {
  if (event.target === $("detail")) return $("detail").close();
  const link = event.target.closest("a.cell, a.cause");
  if (link && !event.metaKey && !event.ctrlKey && !event.shiftKey) { event.preventDefault(); return show(link.pathname); }
  const copy = event.target.closest("button.copy");
  if (copy) {
    await navigator.clipboard.writeText(copy.dataset.copy.trim());
    const text = copy.textContent;
    copy.textContent = document.body.dataset.copied;
    say(document.body.dataset.copied);
    setTimeout(() => { copy.textContent = text; }, 1200);
    return;
  }
  const verb = event.target.closest("button[data-verb]");
  if (verb) press(new URLSearchParams({ verb: verb.dataset.verb, fault: verb.dataset.fault, user: verb.dataset.user }), verb);
});

// Buttons are pressed without leaving the page.
async function press(fields, button) {
  button.disabled = true;
  try {
    const answer = await fetch("/requests", { method: "POST", body: fields, headers: { "X-CSRF-Token": meta("csrf") } });
    say(answer.ok ? button.textContent : await answer.text());
    if (answer.status === 403) location.reload();
  } finally { setTimeout(() => { button.disabled = false; }, 400); }
}
document.addEventListener("submit", (event) => {
  if (!event.target.matches(".press")) return;
  event.preventDefault();
  press(new URLSearchParams(new FormData(event.target, event.submitter)), event.submitter);
});

// Light or dark: the system's, until somebody chooses. A cookie, so that the page comes in the right colours at once.
const theme = $("theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
});

// `./inv ui` opens /sign-in#CODE: what follows the # never leaves the browser but in the form, and is taken out of the address.
function enter() {
  const form = $("sign-in");
  if (!form || !/^#[A-Z2-9]{10}$/.test(location.hash)) return;
  $("credential").value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  form.submit();
}
addEventListener("hashchange", enter);
enter();
