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
for (const place of document.querySelectorAll("[data-count]")) {
  fetch(place.dataset.count).then((answer) => (answer.ok ? answer.json() : null)).then((found) => {
    if (!found || !found.rows.length) return;
    const { messages, sources } = found.rows[0];
    const number = (value, word) => `${value.toLocaleString("en")} ${word}${value === 1 ? "" : "s"}`;
    place.textContent = `${number(messages, "message")} from ${number(sources, "source")}.`;
  }).catch(() => {});
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

// -- live: rows that the server has rendered and escaped ----------------------------------------------------------------
const ticker = $("table[data-ticker] tbody");
const light = $("[data-live]");
if (ticker && light && window.EventSource) {
  const kept = Number(ticker.closest("table").dataset.ticker);
  const stream = new EventSource("/live?direction=in");
  stream.addEventListener("open", () => { light.textContent = "live"; light.classList.add("on"); });
  stream.addEventListener("error", () => { light.textContent = "reconnecting"; light.classList.remove("on"); });
  stream.addEventListener("rows", (event) => {
    const rows = document.createElement("template");
    rows.innerHTML = event.data;
    for (const row of rows.content.querySelectorAll("tr")) row.classList.add("new");
    ticker.prepend(rows.content);
    while (ticker.rows.length > kept) ticker.rows[ticker.rows.length - 1].remove();
  });
  addEventListener("pagehide", () => stream.close());
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
