// Replaces the page's changing part every few seconds while it is looked at. Without script the page is simply what it was when loaded.
"use strict";
const seconds = 3;
const main = document.getElementById("main");
const live = document.getElementById("live");

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch("?fragment", { signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error("the server answered " + answer.status);
    const text = await answer.text();
    if (main.innerHTML !== text) main.innerHTML = text;
    live.textContent = "live";
  } catch (error) {
    live.textContent = "not live: " + error.message;
  }
}

setInterval(refresh, seconds * 1000);
