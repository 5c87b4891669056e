// Runs in the status component. Asks for a small token twice a second and exchanges only what has changed:
// pictures are loaded first and swapped then, so nothing flickers.
const root = document.documentElement;
const language = root.dataset.language || "en";
const byId = (id) => document.getElementById(id);
const ACTIVE = ["waiting", "preparing", "training"];
let seen = {};
let timer = null;
let asking = false;

const setText = (node, text) => {
  if (node && node.textContent !== text) node.textContent = text;
};

// The first picture of a panel becomes `url`; an empty url shows the panel's explanation instead.
window.ganPicture = async (id, url) => {
  const panel = byId(id);
  const image = panel?.querySelector("img");
  if (!image) return;
  panel.toggleAttribute("data-empty", !url);
  if (!url || image.getAttribute("src") === url || image.dataset.wanted === url) return;
  image.dataset.wanted = url;
  const next = new Image();
  next.src = url;
  try {
    await next.decode();
  } catch {
    if (image.dataset.wanted === url) image.dataset.wanted = ""; // gone meanwhile; the next token names a newer one
    return;
  }
  if (image.dataset.wanted === url) image.src = url;
};

// The Timeline tab is built when it is first opened, too.
window.ganTimelineSoon = (run) => {
  window.ganTimelineRun = run;
  window.ganTimeline?.(run);
};

// A bar for each digit; twice an even share fills it.
const showCoverage = (shares) => {
  root.toggleAttribute("data-has-coverage", shares.length > 0);
  document.querySelectorAll(".gan-coverage li").forEach((bar, digit) => {
    const [share, words] = shares[digit] || [0, ""];
    bar.firstElementChild.style.height = `${Math.min(100, 500 * share)}%`;
    bar.title = words;
    bar.setAttribute("aria-label", words);
    bar.toggleAttribute("data-missing", share < 0.02);
  });
};

// Which buttons fit: those of the run that is watched, if it is one's own; else those for a new run, unless
// one's own is active elsewhere.
const controls = (live) => {
  if (live.mine || root.hasAttribute("data-presenter") || !(ACTIVE.includes(live.state) || live.state === "paused")) return live.state;
  return live.own ? "elsewhere" : "idle";
};

// The run that is looked at is the one a person has chosen in the list, if it is active or has been, else the
// server's choice, which the list then follows.
let chosen = "";
window.ganChoose = (run) => {
  chosen = run || "";
  window.ganAsk?.();
};
const listed = (run) => [...document.querySelectorAll("#train-runs input")].some((input) => input.value === run);
window.ganListed = (run) => [chosen, window.ganWatching].find((wanted) => wanted && listed(wanted)) || run;

const showWhose = (live) => {
  const whose = byId("train-whose");
  whose.hidden = !live.whose && !live.back;
  setText(whose.firstElementChild, live.whose);
  const back = whose.lastElementChild;
  back.hidden = !live.back;
  setText(back, live.back);
  back.onclick = () => window.ganChoose("");
};

const show = (live) => {
  root.dataset.train = controls(live);
  root.dataset.watched = live.state;
  root.toggleAttribute("data-mine", live.mine || root.hasAttribute("data-presenter"));
  window.ganWatching = live.run;
  showWhose(live);
  root.toggleAttribute("data-has-live", live.has_live);
  setText(byId("train-sentence"), live.sentence);
  const problem = byId("train-problem");
  setText(problem, live.problem);
  problem.hidden = !live.problem;
  setText(byId("train-diagnosis"), live.diagnosis);
  setText(byId("train-suggestion"), live.suggestion || " ");
  root.toggleAttribute("data-suggestion", Boolean(live.suggestion));
  showCoverage(live.coverage);
  const facts = byId("train-facts");
  facts.hidden = live.facts.length === 0;
  while (facts.children.length > live.facts.length) facts.lastChild.remove();
  live.facts.forEach(([label, value, labelFirst], index) => {
    const item = facts.children[index] || facts.appendChild(document.createElement("span"));
    item.className = labelFirst ? "label-first" : "";
    while (item.children.length < 2) item.appendChild(document.createElement("span"));
    setText(item.children[0], labelFirst ? label : value);
    setText(item.children[1], labelFirst ? value : label);
  });
  const bar = byId("train-bar");
  bar.setAttribute("aria-valuenow", Math.round(100 * live.progress));
  bar.firstElementChild.style.width = `${100 * live.progress}%`;
  for (const [id, url] of Object.entries(live.pictures)) window.ganPicture(id, url);
};

// A list that has changed is fetched by every page: in a room they must not all do it at once.
const soon = (work) => (root.hasAttribute("data-shared") ? setTimeout(work, 1500 * Math.random()) : work());

const ask = async () => {
  if (asking) return;
  clearTimeout(timer);
  asking = true;
  let wait = 1500;
  try {
    const query = new URLSearchParams({ lang: language, run: chosen, me: window.ganMe, last: window.ganWatching });
    const answer = await fetch(`gradio_api/gan/live?${query}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const live = await answer.json();
    show(live);
    if (seen.runs !== undefined && seen.runs !== live.runs_version) soon(() => trigger("runs_changed"));
    // Right after a restart Gradio may not answer yet, and what it does not answer it forgets.
    if (seen.away) setTimeout(() => trigger("runs_changed"), 4000);
    if (seen.grid !== live.pictures["train-grid"]) window.ganTimelineMoved?.(live.run);
    if (seen.grid !== undefined && seen.grid !== live.pictures["train-grid"]) window.ganLiveMoved?.();
    // A status shows at once, the last step's numbers a moment later.
    if (ACTIVE.includes(live.state) || seen.state !== live.state) wait = 500;
    if (seen.live === false && live.has_live) trigger("digits_began");
    if (seen.run !== undefined && seen.run !== live.run) trigger("watched_changed");
    seen = { run: live.run, state: live.state, runs: live.runs_version, grid: live.pictures["train-grid"], live: live.has_live };
  } catch {
    seen.away = true;
    setText(byId("train-sentence"), byId("train-sentence").dataset.offline.split("|")[language === "zh" ? 1 : 0]);
  }
  asking = false;
  if (document.visibilityState === "visible") timer = setTimeout(ask, wait);
};

window.ganAsk = ask;
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") ask();
});
ask();
