// What every page does in the browser. Server-rendered HTML is complete without it.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);

// -- light and dark ------------------------------------------------------------------------------------------------
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";
const themeChanged = () => document.dispatchEvent(new CustomEvent("themechange"));

const toggle = $("[data-theme-toggle]");
if (toggle) {
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem("theme", next); } catch (error) { /* it lasts until the page is left */ }
    themeChanged();
  });
}
systemDark.addEventListener("change", themeChanged);

// -- on a narrow screen the pages stand in one line: show where we are in it ---------------------------------------------
const here = $(".nav a[aria-current]");
if (here && getComputedStyle(here.parentElement).flexDirection === "row") {
  here.parentElement.scrollLeft = here.offsetLeft - (here.parentElement.clientWidth - here.offsetWidth) / 2;
}

// -- filters: an address names only the conditions that are set ------------------------------------------------------
for (const form of document.querySelectorAll("form[data-filters]")) {
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && !field.value.trim()) field.disabled = true;
  });
  for (const select of form.querySelectorAll("select")) select.addEventListener("change", () => form.requestSubmit());
}
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[data-filters] :disabled")) field.disabled = false;
});

// -- "/" goes to the search box --------------------------------------------------------------------------------------
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
  event.preventDefault();
  $("#search").focus();
});

// -- how many messages fit: asked after the page is there -------------------------------------------------------------
const withWord = (value, word) => `${value.toLocaleString("en")} ${word}${value === 1 ? "" : "s"}`;
const COUNT_MS = 20_000;
let countedAt = 0;

async function count() {
  const place = $("[data-count]");
  if (!place) return;
  countedAt = Date.now();
  try {
    const answer = await fetch(place.dataset.count);
    const found = answer.ok ? (await answer.json()).rows[0] : null;
    if (found) place.textContent = `${withWord(found.messages, "message")} from ${withWord(found.sources, "source")}.`;
  } catch (error) { /* the hub is away */ }
}
count();

// -- copying, and menus that close when the reader goes on --------------------------------------------------------------
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}
for (const menu of document.querySelectorAll("[data-menu]")) {
  addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    $("summary", menu).focus();
  });
}

// -- a row of messages opens where its time links to -------------------------------------------------------------------
addEventListener("click", (event) => {
  const row = event.target.closest("table.messages tbody tr");
  if (!row || event.target.closest("a, button") || String(getSelection())) return;
  const link = $("a", row);
  if (event.ctrlKey || event.metaKey) open(link.href, "_blank", "noopener"); else location.href = link.href;
});

// -- tabs on one page: raw, hex ---------------------------------------------------------------------------------------
for (const button of document.querySelectorAll("[data-shows]")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll(`[data-shows-group="${button.dataset.showsGroup}"]`)) {
      other.setAttribute("aria-pressed", String(other === button));
      document.getElementById(other.dataset.shows).hidden = other !== button;
    }
  });
}

// -- fresh: parts of the page as the server has them now ----------------------------------------------------------------
async function refresh() {
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const now = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-fresh]")) {
    const next = now.getElementById(part.id);
    if (next && !part.contains(document.activeElement)) part.replaceChildren(...next.childNodes);
  }
  document.dispatchEvent(new CustomEvent("refreshed"));
}

// -- live: rows that the server has rendered and escaped, in their place by time ----------------------------------------
const FIGURES_MS = 30_000; // how old the figures around a live table may become
const LOOK_MS = 5_000;
const light = $("[data-live]");
const table = () => $("table[data-ticker]");
const hrefOf = (row) => $(".when a", row).getAttribute("href");
const timeOf = (row) => $("time", row).dateTime;

function place(rows, only) {
  const body = table().tBodies[0];
  if (only) body.replaceChildren();
  const there = new Set([...body.rows].map(hrefOf));
  for (const row of rows) {
    if (there.has(hrefOf(row))) continue;
    there.add(hrefOf(row));
    row.classList.add("new");
    const older = [...body.rows].find((each) => timeOf(each) <= timeOf(row));
    if (older) older.before(row); else body.append(row);
  }
  const kept = Number(table().dataset.ticker);
  if (body.rows.length <= kept) return;
  for (const row of [...body.rows].slice(kept)) row.remove();
  const link = $("a[data-older]"); // the next page begins where this one ends now
  if (!link) return;
  const last = body.rows[body.rows.length - 1];
  const address = new URL(link.href || location.href);
  address.searchParams.set("before", `${timeOf(last)}_${hrefOf(last).split("/").pop()}`);
  link.href = address;
  link.closest("[hidden]")?.removeAttribute("hidden");
}

if (light && window.EventSource) {
  let stream = null, retry = 0, missed = false, paused = false, waiting = [], only = false, figuresAt = Date.now(), changed = false;
  const say = (word) => { light.textContent = word; light.classList.toggle("on", word.startsWith("live")); };
  const live = () => {
    const there = new Set([...(table()?.tBodies[0].rows ?? [])].map(hrefOf));
    const fresh = waiting.filter((row) => !there.has(hrefOf(row))).length;
    say(fresh ? `live, ${fresh} wait` : "live");
  };
  // Rows stay where they are while somebody points at one.
  const held = () => matchMedia("(hover: hover)").matches && table()?.tBodies[0].matches(":hover");
  const flush = () => {
    if (!waiting.length || held()) return;
    const rows = waiting.splice(0);
    if (table()) place(rows, only); else refresh();
    only = false;
    if (Date.now() - countedAt > COUNT_MS) count();
    if (stream) live();
  };
  const take = (event) => {
    const rows = document.createElement("template");
    rows.innerHTML = event.data;
    if (event.type === "only") { waiting = []; only = true; }
    waiting.push(...rows.content.querySelectorAll("tr"));
    changed = true;
    live();
    flush();
  };
  const open = () => {
    if (stream || paused || document.hidden) return;
    stream = new EventSource(light.dataset.live);
    stream.addEventListener("open", () => { live(); if (missed) { missed = false; refresh(); } });
    stream.addEventListener("error", () => {
      missed = true;
      say("reconnecting");
      if (stream.readyState === EventSource.CLOSED) { close(); retry = setTimeout(open, LOOK_MS); }
    });
    for (const kind of ["rows", "only"]) stream.addEventListener(kind, take);
  };
  const close = () => {
    clearTimeout(retry);
    if (stream) missed = true;
    stream?.close();
    stream = null;
  };
  // A browser has six connections to a server: a page that nobody looks at leaves its own to the others.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  light.addEventListener("click", () => {
    paused = !paused;
    light.setAttribute("aria-pressed", String(paused));
    if (paused) { close(); say("paused"); } else { say("connecting"); open(); }
  });
  $("main").addEventListener("pointerout", () => setTimeout(flush));
  setInterval(() => {
    if (!changed || !stream || held() || Date.now() - figuresAt < FIGURES_MS) return;
    figuresAt = Date.now();
    changed = false;
    refresh();
  }, LOOK_MS);
}

// -- "at byte n" goes to the line that holds the byte ---------------------------------------------------------------------
addEventListener("click", (event) => {
  const link = event.target.closest("a[data-byte]");
  if (!link) return;
  event.preventDefault();
  const byte = Number(link.dataset.byte);
  const lines = [...document.querySelectorAll(".raw .line")];
  const line = lines.filter((each) => Number(each.dataset.offset) <= byte).pop();
  if (!line) return;
  $('[data-shows="annotated"]')?.click();
  for (const each of lines) each.classList.toggle("target", each === line);
  line.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
});

// -- points of a sweep chart: what one is, and its message -----------------------------------------------------------------
for (const chart of document.querySelectorAll("[data-points]")) {
  const tip = $("#tip");
  chart.addEventListener("pointermove", (event) => {
    const point = event.target.closest("[data-m]");
    tip.hidden = !point;
    if (!point) return;
    tip.textContent = point.dataset.t;
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  });
  chart.addEventListener("pointerleave", () => { tip.hidden = true; });
  chart.addEventListener("click", (event) => {
    const point = event.target.closest("[data-m]");
    if (point) location.href = `/messages/${encodeURIComponent(point.dataset.m)}`;
  });
}

// -- an empty page waits for the first message ------------------------------------------------------------------------------
if ($("[data-first]")) {
  const look = setInterval(async () => {
    try {
      const answer = await fetch("/api/span");
      if (answer.ok && (await answer.json()).rows[0].first_hour) { clearInterval(look); location.reload(); }
    } catch (error) { /* the hub is away; it may come back */ }
  }, 2500);
}
