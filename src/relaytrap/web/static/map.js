// The world heatmap: a Vega view whose signals `counts` and `top` this script sets. Needs app.js before it.
"use strict";

const box = $("#map");
const slider = $("[data-slider]");
const MEASURES = { messages: 1, sources: 2 };
const FRAME_MS = 450;

const asked = new URLSearchParams(location.search);
let view = null;
let last, totals; // the window's name, and code → row of the whole window
let measure = asked.get("measure") === "sources" ? "sources" : "messages";
let hours = null; // {steps, step_s, countries: Map(code → {name, cells: Map(step → [step, messages, sources])}), top}
let step = null; // null: all hours together
let drawing = 0;

// -- the address names what is shown: it can be sent as a link ---------------------------------------------------------
function remember(name, value) {
  const address = new URL(location.href);
  if (value === null) address.searchParams.delete(name); else address.searchParams.set(name, value);
  history.replaceState(history.state, "", address);
}

// -- numbers ---------------------------------------------------------------------------------------------------------
function readTotals() {
  const data = JSON.parse($("#map-data").textContent);
  last = data.last;
  totals = new Map(data.counts.map((row) => [row.country, row]));
}
readTotals();

function countOf(code, which) {
  if (step === null) return totals.has(code) ? totals.get(code)[which] : 0;
  const cell = hours.countries.get(code)?.cells.get(step);
  return cell ? cell[MEASURES[which]] : 0;
}

function shownCounts() {
  const codes = step === null ? totals.keys() : hours.countries.keys();
  const counts = {};
  for (const code of codes) {
    const count = countOf(code, measure);
    if (count) counts[code] = count;
  }
  return counts;
}

const nameOf = (code) => (totals.get(code) || hours?.countries.get(code) || { name: code }).name;

// -- drawing -----------------------------------------------------------------------------------------------------------
function loadBundle() {
  return new Promise((resolve, reject) => {
    if (window.vegaEmbed) return resolve();
    const script = document.createElement("script");
    script.src = box.dataset.bundle;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
}

async function draw() {
  const turn = ++drawing;
  const answer = fetch(box.dataset.spec + (isDark() ? "dark" : "light"));
  await loadBundle();
  const spec = await (await answer).json();
  if (turn !== drawing) return; // a later call draws
  for (const layer of spec.layer) if (layer.encoding?.color) layer.encoding.color.legend.title = measure === "sources" ? "Unique sources" : "Messages";
  spec.height = Math.round(Math.max(190, Math.min(540, box.clientWidth * 0.47)));
  if (box.clientWidth < 600) {
    spec.config.legend.orient = "bottom";
    spec.padding = { left: 14, right: 14, top: 0, bottom: 10 };
  }
  const stage = document.createElement("div");
  stage.className = "next"; // lies under the map that it will replace, so that the page does not jump
  box.append(stage);
  const made = await vegaEmbed(stage, spec, { ast: true, actions: false, defaultStyle: false, tooltip: false, renderer: "canvas" });
  if (turn !== drawing) { made.finalize(); stage.remove(); return; }
  for (const old of [...box.children]) if (old !== stage) old.remove();
  stage.className = "";
  view = window.mapView = made.view;
  view.addEventListener("mousemove", hover);
  view.addEventListener("mouseout", () => { $("#tip").hidden = true; });
  view.addEventListener("click", (event, item) => {
    const code = item?.datum?.id;
    if (!code) return;
    if (step === null) location.href = `/countries/${encodeURIComponent(code)}?last=${encodeURIComponent(last)}`;
    else location.href = `/messages?${new URLSearchParams({ country: code, since: momentOf(step), until: momentOf(step, hours.step_s) })}`;
  });
  await show();
  box.dataset.measure = measure;
  box.dataset.drawn = isDark() ? "dark" : "light";
}

async function show() {
  const counts = shownCounts();
  // One scale for all hours, so that colours mean the same while the slider moves.
  const top = step === null ? Math.max(1, ...Object.values(counts)) : hours.top[measure];
  if (view) await view.signal("counts", counts).signal("top", top).runAsync();
  box.dataset.shown = step === null ? "all" : String(step);
  if (!slider || slider.hidden) return;
  const label = $("[data-hour-label]");
  if (step === null) { label.textContent = ""; return; }
  const sum = (which) => Object.keys(counts).reduce((total, code) => total + countOf(code, which), 0);
  label.textContent = `${stepLabel(step)} · ${withWord(sum("messages"), "message")}, ${withWord(sum("sources"), "source")}`;
}

const momentOf = (number, later = 0) => `${new Date((hours.steps[number] + later) * 1000).toISOString().slice(0, 19)}Z`;

function stepLabel(number) {
  const begin = new Date(hours.steps[number] * 1000);
  const options = { timeZone: "UTC", day: "numeric", month: "short" };
  if (hours.step_s >= 86400) options.year = "numeric"; else Object.assign(options, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return begin.toLocaleString("en-GB", options).replace(",", "") + (options.hour ? " UTC" : "");
}

function hover(event, item) {
  const tip = $("#tip");
  const code = item?.datum?.id;
  tip.hidden = !code;
  if (!code) return;
  const name = document.createElement("b");
  name.textContent = nameOf(code) === code ? item.datum.properties?.name || code : nameOf(code);
  tip.replaceChildren(name, `${withWord(countOf(code, "messages"), "message")}, ${withWord(countOf(code, "sources"), "source")}`);
  const wide = tip.offsetWidth, high = tip.offsetHeight;
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - wide - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - high - 8)}px`;
}

// -- messages or sources -------------------------------------------------------------------------------------------------
const measures = document.querySelectorAll("[data-measure]");
const press = () => { for (const each of measures) each.setAttribute("aria-pressed", String(each.dataset.measure === measure)); };
press();
for (const button of measures) {
  button.addEventListener("click", () => {
    measure = button.dataset.measure;
    remember("measure", measure === "messages" ? null : measure);
    press();
    draw();
  });
}

// -- hour by hour -----------------------------------------------------------------------------------------------------------
async function loadHours() {
  if (hours) return hours;
  const found = await (await fetch(`/map/hours?last=${encodeURIComponent(last)}`)).json();
  const countries = new Map();
  const top = { messages: 1, sources: 1 };
  for (const [code, [name, cells]] of Object.entries(found.countries)) {
    countries.set(code, { name, cells: new Map(cells.map((cell) => [cell[0], cell])) });
    for (const cell of cells) for (const key of Object.keys(MEASURES)) top[key] = Math.max(top[key], cell[MEASURES[key]]);
  }
  hours = { ...found, countries, top };
  return hours;
}

if (slider) {
  const range = $("[data-hour]"), play = $("[data-play]"), all = $("[data-all]");
  let playing = null;

  const goTo = (number) => {
    step = number;
    if (number !== null) range.value = String(number);
    all.setAttribute("aria-pressed", String(number === null));
    range.setAttribute("aria-valuetext", number === null ? "all hours" : stepLabel(number));
    return show();
  };
  const stop = () => {
    clearInterval(playing);
    playing = null;
    $("use", play).setAttribute("href", "#i-play");
    play.setAttribute("aria-label", "Play hour by hour");
  };
  play.addEventListener("click", () => {
    if (playing) { remember("at", momentOf(step)); return stop(); }
    $("use", play).setAttribute("href", "#i-pause");
    play.setAttribute("aria-label", "Pause");
    const end = Number(range.max);
    if (step === null || step >= end) goTo(0);
    playing = setInterval(() => (step >= end ? stop() : goTo(step + 1)), FRAME_MS);
  });
  range.addEventListener("input", () => { stop(); goTo(Number(range.value)); });
  range.addEventListener("change", () => remember("at", momentOf(step)));
  all.addEventListener("click", () => { stop(); goTo(null); remember("at", null); });

  loadHours().then(() => {
    if (!hours.steps.length) return;
    range.max = String(hours.steps.length - 1);
    range.value = range.max;
    slider.hidden = false;
    const at = hours.steps.findLastIndex((begin) => begin * 1000 <= Date.parse(asked.get("at")));
    if (at >= 0) goTo(at);
  }).catch(() => {});
}

// -- when to draw again -----------------------------------------------------------------------------------------------------
document.addEventListener("themechange", draw);
document.addEventListener("refreshed", () => { readTotals(); show(); });
let width = box.clientWidth, waiting = null;
new ResizeObserver(() => {
  if (Math.abs(box.clientWidth - width) < 24) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => { width = box.clientWidth; draw(); }, 150);
}).observe(box);
draw().catch(() => { $(".wait", box)?.replaceChildren("The map could not be drawn; the table has the same numbers."); });
