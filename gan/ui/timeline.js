// Runs in the Timeline tab. The pictures of a run are few and small: all are fetched, and the slider only chooses.
const language = document.documentElement.dataset.language || "en";
const box = element.querySelector(".gan-timeline");
const slider = box.querySelector("input");
const output = box.querySelector("output");
const scene = box.querySelector(".scene");
const plot = box.querySelector(".gan-cursor img");
const cursor = box.querySelector(".gan-cursor i");
const play = box.querySelector(".play");
const words = output.dataset[language === "zh" ? "stepZh" : "stepEn"];
const MS_PER_MOMENT = 100;
const REFRESH_MS = 3000;
let film = null; // {run, moments: [[step, url]], last, plot, left, right, gif}
let pictures = [];
let wanted = null; // the run that was asked for, which may have no pictures yet
let player = null;

const showMoment = () => {
  const [step] = film.moments[slider.value];
  const picture = pictures[slider.value];
  if (picture.complete) scene.src = picture.src;
  else picture.onload = showMoment;
  output.textContent = words.replace("{step}", step.toLocaleString(language));
  slider.setAttribute("aria-valuetext", output.textContent);
  cursor.style.left = `${100 * (film.left + (film.right - film.left) * Math.min(1, step / film.last))}%`;
};

const stop = () => {
  clearInterval(player);
  player = null;
  play.textContent = "▶";
};

play.addEventListener("click", () => {
  if (player || !film) return stop();
  if (slider.value === slider.max) slider.value = 0;
  play.textContent = "❚❚";
  player = setInterval(() => {
    slider.value = Number(slider.value) + 1;
    showMoment();
    if (slider.value === slider.max) stop();
  }, MS_PER_MOMENT);
});
slider.addEventListener("input", () => {
  stop();
  showMoment();
});

const load = async (run) => {
  stop();
  wanted = run;
  const answer = run && (await fetch(`gradio_api/gan/run/${encodeURIComponent(run)}/timeline`, { cache: "no-store" }));
  const found = answer && answer.ok ? await answer.json() : null;
  if (wanted !== run) return; // another one was chosen meanwhile
  box.toggleAttribute("data-nothing", !found);
  if (!found) return;
  const atEnd = !film || film.run !== run || slider.value === slider.max;
  film = found;
  pictures = film.moments.map(([, url]) => Object.assign(new Image(), { src: url }));
  slider.max = film.moments.length - 1;
  if (atEnd) slider.value = slider.max;
  plot.src = film.plot;
  box.querySelector(".gif").href = film.gif;
  showMoment();
};

// A run that trains grows while it is watched; its newest moments come every few seconds.
let loadedAt = Date.now();
window.ganTimelineMoved = (run) => {
  if (wanted !== run || player || !box.offsetParent || Date.now() - loadedAt < REFRESH_MS) return;
  loadedAt = Date.now();
  load(run);
};
window.ganTimeline = load;
load(window.ganTimelineRun);
