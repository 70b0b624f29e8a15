// Keeps the server-rendered dashboard fresh, and asks before it acts. No dependency but uPlot for the charts.
const BASE = "/health/dashboard";
const main = document.getElementById("main");
const csrf = document.querySelector('meta[name="csrf-token"]')?.content ?? "";
const $ = (id) => document.getElementById(id);

let version = Number(main.dataset.version);
let taken = Number(main.dataset.taken);
let offset = Number(main.dataset.now) * 1000 - Date.now(); // the server's clock against ours
let heard = performance.now();
let live = false;
const now = () => (Date.now() + offset) / 1000;

// --- ages ---------------------------------------------------------------------------------------------------
function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${s % 60}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

function age(root = document) {
  for (const time of root.querySelectorAll("time[data-at]")) {
    const text = span(now() - Number(time.dataset.at)) + (time.dataset.form === "ago" ? " ago" : "");
    if (time.textContent !== text) time.textContent = text;
  }
}

const STALE_SECONDS = 30, LOST_MILLISECONDS = 8000;
function link() {
  const silent = performance.now() - heard;
  const old = Math.max(0, now() - taken);
  const at = new Date(taken * 1000).toISOString().slice(11, 19);
  let kind = "live", text = `Live · checked ${old < 1 ? "now" : `${span(old)} ago`}`;
  if (silent > LOST_MILLISECONDS) {
    kind = "lost";
    text = `Connection lost for ${span(silent / 1000)} · this is how it was at ${at} UTC · trying again`;
  } else if (old > STALE_SECONDS) {
    kind = "stale";
    text = `No check has ended for ${span(old)} · this is how it was at ${at} UTC`;
  } else if (!live) {
    kind = "";
    text = `Connecting · as of ${at} UTC`;
  }
  if ($("link").className !== `link ${kind}`) $("link").className = `link ${kind}`;
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
}

// --- what the server tells ----------------------------------------------------------------------------------
function put(id, html) {
  const element = $(id);
  if (!element) return;
  const focus = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const open = [...element.querySelectorAll("details[open]")].map((each) => each.dataset.key);
  const scrolled = [...element.querySelectorAll(".timeline, .scroll")].map((each) => [each.scrollTop, each.scrollLeft]);
  element.innerHTML = html; // made and escaped by the server
  const find = (key) => [...element.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key);
  for (const key of open) { const details = find(key); if (details) details.open = true; }
  element.querySelectorAll(".timeline, .scroll").forEach((each, index) => {
    if (scrolled[index]) [each.scrollTop, each.scrollLeft] = scrolled[index];
  });
  if (focus) find(focus)?.focus({ preventScroll: true });
  age(element);
}

const COLORS = { pass: "#2f9e58", warn: "#c98a1b", fail: "#d3353c", unknown: "#6b7682" };
const MARKS = {
  pass: '<path d="M8 17l6 6 11-14" fill="none" stroke="#fff" stroke-width="4"/>',
  warn: '<path d="M16 6v13M16 22v4" stroke="#fff" stroke-width="4.5"/>',
  fail: '<path d="M9 9l14 14M23 9L9 23" stroke="#fff" stroke-width="4"/>',
  unknown: '<circle cx="16" cy="16" r="5" fill="#fff"/>',
};
function icon(status) {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="${COLORS[status]}"/>${MARKS[status]}</svg>`;
  document.querySelector('link[rel="icon"]').href = "data:image/svg+xml," + encodeURIComponent(svg);
}

let shownStatus = "";
function moments(told) {
  offset = told.now * 1000 - Date.now();
  taken = told.taken;
  heard = performance.now();
  live = true;
}

function frame(told) {
  moments(told);
  version = told.version;
  for (const [id, html] of Object.entries(told.sections)) put(id, html);
  if (document.title !== told.title) document.title = told.title;
  if (shownStatus !== told.status) icon((shownStatus = told.status));
  const body = $("services");
  const order = told.order.map($).filter(Boolean);
  if (!body.contains(document.activeElement) && order.some((row, index) => body.children[index] !== row)) {
    body.append(...order);
  }
  if (told.series) draw(told.series);
  link();
}

// --- streaming, and polling where that does not work ---------------------------------------------------------
let failures = 0;
function stream() {
  const source = new EventSource(`${BASE}/events?since=${version}`);
  source.addEventListener("frame", (event) => { failures = 0; frame(JSON.parse(event.data)); });
  source.addEventListener("tick", (event) => { failures = 0; moments(JSON.parse(event.data)); link(); });
  source.onerror = () => {
    live = false;
    failures += 1;
    // A refusal (too many streams, signed out) ends it for good; a lost connection is tried again by itself.
    if (source.readyState === EventSource.CLOSED) { source.close(); poll(); }
    link();
  };
}

const POLL_MILLISECONDS = 5000, POLLS_BEFORE_STREAM = 12;
async function poll(count = 0) {
  try {
    const answer = await fetch(`${BASE}/frame?since=${version}`, { cache: "no-store" });
    if (answer.status === 401) { location.assign(`${BASE}/login`); return; }
    if (answer.ok) frame(await answer.json());
  } catch { live = false; }
  link();
  if (count >= POLLS_BEFORE_STREAM && "EventSource" in window) setTimeout(stream, POLL_MILLISECONDS);
  else setTimeout(poll, POLL_MILLISECONDS, count + 1);
}

// --- charts --------------------------------------------------------------------------------------------------
const charts = new Map();
let newest = {};
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function scaled(value, unit) {
  if (value == null) return "–";
  if (unit === "percent") return `${value.toFixed(1)} %`;
  if (unit === "seconds") return value < 0.1 ? `${(value * 1000).toFixed(1)} ms` : value < 1 ? `${(value * 1000).toFixed(0)} ms` : `${value.toFixed(2)} s`;
  if (unit === "bytes") {
    let index = 0, left = value;
    while (left >= 1000 && index < 4) { left /= 1000; index += 1; }
    return `${index ? left.toFixed(1) : left.toFixed(0)} ${["B", "kB", "MB", "GB", "TB"][index]}/s`;
  }
  return `${value < 100 ? value.toFixed(1) : value.toFixed(0)}/s`;
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });

const LEAST = { seconds: 0.001 }; // the top of an axis on which nothing but zero was measured; else 1
const HALF_LABEL = 18; // px: a time at the right edge stands under its point, and half of it beyond

function columns(series) {
  const lines = series.lines.filter((line) => line.values.length);
  const length = Math.max(0, ...lines.map((line) => line.values.length));
  const times = Array.from({ length }, (_, index) => series.start + (index + 0.5) * series.step);
  return [times, ...lines.map((line) => line.values)];
}

function draw(series) {
  newest = series;
  if (!window.uPlot) return;
  for (const [id, one] of Object.entries(series)) {
    const box = document.querySelector(`[data-chart="${id}"]`);
    const data = columns(one);
    if (!box || data.length < 2) continue;
    $(`span-${id}`).textContent = one.span;
    const known = charts.get(id);
    if (known && known.series.length === data.length) { known.setData(data); legend(id, null); continue; }
    known?.destroy();
    charts.set(id, chart(id, box, one, data));
    legend(id, null);
  }
}

function chart(id, box, one, data) {
  box.replaceChildren();
  const colors = [style("--c1"), style("--c2")];
  const soft = style("--soft"), line = style("--line");
  const percent = one.unit === "percent";
  return new uPlot({
    width: box.clientWidth, height: box.clientHeight, legend: { show: false }, padding: [6, HALF_LABEL, 0, 0],
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false }, sync: { key: "oatie" } },
    hooks: { setCursor: [(plot) => legend(id, plot.cursor.idx)] },
    scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, percent ? 100 : (high || LEAST[one.unit] || 1) * 1.15] } },
    axes: [
      { stroke: soft, grid: { show: false }, ticks: { show: false }, size: 20, font: "11px system-ui", space: 70, values: (_plot, at) => at.map(clock) },
      { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: percent ? 34 : 66, gap: 4, font: "11px system-ui", space: 34, values: (_plot, found) => found.map((value) => (percent ? value : scaled(value, one.unit))), ...(percent ? { splits: [0, 50, 100] } : {}) },
    ],
    series: [{}, ...data.slice(1).map((_, index) => ({
      stroke: colors[index], width: 1.75, dash: index ? [5, 3] : undefined, fill: index ? undefined : colors[0] + "22", spanGaps: false, points: { show: false },
    }))],
  }, data, box);
}

function legend(id, index) {
  const one = newest[id], box = document.querySelector(`[data-chart="${id}"]`);
  if (!one || !box) return;
  let text = box.nextElementSibling?.classList.contains("legend") ? box.nextElementSibling : null;
  if (!text) { text = document.createElement("p"); text.className = "legend"; box.after(text); }
  const lines = one.lines.filter((line) => line.values.length);
  const parts = lines.map((line, number) => {
    const values = line.values, at = index ?? values.findLastIndex((value) => value != null);
    const item = document.createElement("span");
    item.className = `l${number + 1}`;
    item.append(document.createElement("i"), `${line.label} ${scaled(values[at], one.unit)}`);
    return item;
  });
  if (index != null) {
    const at = document.createElement("span");
    at.textContent = new Date((one.start + (index + 0.5) * one.step) * 1000).toLocaleTimeString([], { hour12: false });
    parts.push(at);
  }
  text.replaceChildren(...parts);
}

function again() {
  for (const each of charts.values()) each.destroy();
  charts.clear();
  draw(newest);
}

function withCharts() {
  const script = document.createElement("script");
  script.src = main.dataset.uplot;
  script.onload = () => {
    draw(newest);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    new ResizeObserver(() => {
      for (const [id, plot] of charts) {
        const box = document.querySelector(`[data-chart="${id}"]`);
        plot.setSize({ width: box.clientWidth, height: box.clientHeight });
      }
    }).observe(main);
  };
  document.head.append(script);
}

// --- uptime bars: hover and arrow keys ------------------------------------------------------------------------
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
const said = $("told");
let cell = -1;

function show(bar, rect) {
  bar.querySelector(".on")?.classList.remove("on");
  rect.classList.add("on");
  tip.textContent = rect.dataset.label;
  tip.hidden = false;
  const box = rect.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${box.bottom + 6}px`;
}
function hide(bar) {
  bar?.querySelector(".on")?.classList.remove("on");
  tip.hidden = true;
  cell = -1;
}
document.addEventListener("pointerover", (event) => {
  const rect = event.target.closest?.(".bar rect");
  if (rect) show(rect.closest(".bar"), rect);
});
document.addEventListener("pointerout", (event) => { if (event.target.closest?.(".bar")) hide(event.target.closest(".bar")); });
document.addEventListener("focusout", (event) => { if (event.target.closest?.(".bar")) hide(event.target.closest(".bar")); });
document.addEventListener("keydown", (event) => {
  const bar = event.target.closest?.(".bar");
  const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 };
  if (event.key === "Escape" && !tip.hidden) hide(bar);
  if (!bar || !(event.key in steps)) return;
  event.preventDefault();
  const cells = bar.querySelectorAll("rect");
  const from = cell < 0 ? cells.length - 1 - (event.key === "ArrowLeft" ? -1 : 0) : cell;
  cell = Math.max(0, Math.min(cells.length - 1, from + steps[event.key]));
  show(bar, cells[cell]);
  said.textContent = cells[cell].dataset.label;
});

// --- actions --------------------------------------------------------------------------------------------------
const LABELS = { restart: "Restart", recover: "Recover", degrade: "Degrade", restore: "Restore" };
const EFFECTS = JSON.parse(main.dataset.effects);
const dialog = $("act");

document.addEventListener("submit", (event) => {
  const form = event.target, button = event.submitter;
  if (!form.matches("form.actions") || !button) return;
  event.preventDefault();
  if (!csrf) { location.assign(`${BASE}/act?${new URLSearchParams({ service: form.service.value, action: button.value })}`); return; }
  ask(button.value, form.service.value, button.dataset.key);
});

function ask(action, service, opener) {
  const title = `${LABELS[action]} ${service}`;
  $("act-title").textContent = title;
  $("act-confirm").textContent = title;
  $("act-effect").textContent = EFFECTS[action];
  $("act-lasting").hidden = action !== "degrade";
  $("act-reason").value = "";
  dialog.returnValue = "";
  dialog.onclose = () => {
    // The button that opened it may have been made anew meanwhile, so the browser cannot go back to it.
    const again = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === opener);
    again?.focus({ preventScroll: true });
    if (dialog.returnValue === "confirm") act(action, service, $("act-reason").value.trim(), $("act-duration").value);
  };
  dialog.showModal();
  $("act-reason").focus();
}

async function act(action, service, reason, duration) {
  const what = `${LABELS[action]} of ${service}`, name = encodeURIComponent(service);
  const root = action === "restart" ? "/health/services/" : "/api/performance/errors/services/";
  const query = new URLSearchParams({ reason, ...(action === "degrade" ? { duration } : {}) });
  tell(`${what}: asked for …`);
  try {
    const answer = await fetch(`${root}${name}/${action}?${query}`, { method: "POST", headers: { "X-Oatie-CSRF": csrf } });
    const body = await answer.json();
    if (!answer.ok) throw new Error([body.what, body.why, body.fix].filter(Boolean).join(" · "));
    if (body.id) await follow(what, body);
    else tell(`✓ ${what}: ${body.obeying} of ${body.workers} workers obey`);
  } catch (error) {
    tell(`✗ ${what}: ${error.message}`);
  }
}

const FOLLOW_MILLISECONDS = 500;
async function follow(what, operation) {
  const began = performance.now();
  while (operation.state === "running") {
    tell(`… ${what}: under way for ${span((performance.now() - began) / 1000)}`);
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MILLISECONDS));
    const answer = await fetch(`/health/operations/${operation.id}`, { cache: "no-store" });
    if (answer.ok) operation = await answer.json();
  }
  const took = span((performance.now() - began) / 1000);
  const error = operation.error ? ` · ${[operation.error.what, operation.error.why].filter(Boolean).join(": ")}` : "";
  tell(operation.state === "succeeded" ? `✓ ${what}: done after ${took}` : `✗ ${what}: failed after ${took}${error}`);
}

function tell(text) { if (said.textContent !== text) said.textContent = text; }

// --- go ---------------------------------------------------------------------------------------------------------
age();
link();
setInterval(() => { age(); link(); }, 1000);
if (location.hash === "#operations") history.replaceState(null, "", location.pathname);
fetch(`${BASE}/frame`, { cache: "no-store" }).then((answer) => (answer.ok ? answer.json() : null)).then((told) => { if (told) frame(told); }).catch(() => {})
  .finally(() => { if ("EventSource" in window) stream(); else poll(); });
withCharts();
