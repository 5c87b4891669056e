// Runs in the Sample tab's picture. Asks the server for it, one request at a time, always for the newest values of
// the controls. A click on a digit, or Enter after the arrow keys, asks for that one close up.
const root = document.documentElement;
const image = element.querySelector("img");
const mark = element.querySelector(".gan-mark");
const problem = element.querySelector(".gan-problem");
const CONTROLS = ["source", "seed", "count", "truncation", "weights", "digit", "scores"];
const BUSY_MS = 300;
let drawn = {};
let drawing = false;
let chosen = null;

const showDrawn = (answer) => {
  problem.hidden = !answer.problem;
  problem.textContent = answer.problem || "";
  if (answer.problem) return; // the last picture stays
  drawn = answer;
  root.toggleAttribute("data-conditional", Boolean(answer.conditional));
  window.ganPicture("sample-grid", answer.picture);
  element.querySelector("figcaption").textContent = answer.caption;
  image.alt = answer.alt;
  const link = document.querySelector("#sample-download a");
  link.hidden = !answer.picture;
  link.href = answer.download || "";
};

const draw = async () => {
  const controls = window.ganControls;
  // A box that was cleared to type something else draws nothing, nor does a page that is not known yet.
  if (drawing || !window.ganMe || !controls || controls.slice(0, 4).some((value) => value === null || value === "")) return;
  drawing = true;
  const [watching, token, language] = window.ganGuest();
  const query = new URLSearchParams({ watching, lang: language });
  CONTROLS.forEach((name, index) => query.set(name, controls[index]));
  let wait = 0;
  try {
    const answer = await fetch(`gradio_api/gan/sample?${query}`, {
      cache: "no-store",
      headers: { "X-Gan-Visitor": token },
    });
    if (answer.status === 429) wait = BUSY_MS;
    else showDrawn(await answer.json());
  } catch {
    wait = BUSY_MS * 10; // the server is away, and the status on the Train tab says so
  }
  if (wait) await new Promise((done) => setTimeout(done, wait));
  drawing = false;
  if (wait || window.ganControls !== controls) draw();
};

window.ganDraw = (controls) => {
  if (controls?.length) window.ganControls = controls;
  draw();
};
window.ganLiveMoved = () => {
  const [source] = window.ganControls || [];
  const following = window.ganControls?.[CONTROLS.length];
  if (source === "live" && following && element.offsetParent !== null) draw();
};

// Where the digits are: the picture keeps its shape inside the element, at its left top.
const layout = () => {
  const { columns, rows } = drawn;
  if (!columns || !image.naturalWidth) return null;
  const scale = Math.min(image.clientWidth / image.naturalWidth, image.clientHeight / image.naturalHeight);
  return { columns, rows, width: (image.naturalWidth * scale) / columns, height: (image.naturalHeight * scale) / rows };
};

const showMark = (visible) => {
  const at = layout();
  mark.hidden = !visible || chosen === null || !at;
  if (mark.hidden) return;
  mark.style.left = `${image.offsetLeft + (chosen % at.columns) * at.width}px`;
  mark.style.top = `${image.offsetTop + Math.floor(chosen / at.columns) * at.height}px`;
  mark.style.width = `${at.width}px`;
  mark.style.height = `${at.height}px`;
};

const pick = () => {
  showMark(true);
  window.ganPicked = chosen;
  trigger("picked");
  document.getElementById("sample-closeup")?.scrollIntoView({ block: "nearest" });
};

image.addEventListener("click", (event) => {
  const at = layout();
  if (!at) return;
  const column = Math.floor(event.offsetX / at.width);
  const row = Math.floor(event.offsetY / at.height);
  if (column < 0 || row < 0 || column >= at.columns || row >= at.rows) return;
  chosen = row * at.columns + column;
  pick();
});

image.addEventListener("keydown", (event) => {
  const at = layout();
  if (!at) return;
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -at.columns, ArrowDown: at.columns };
  if (event.key === "Enter" || event.key === " ") {
    chosen = chosen ?? 0;
    pick();
  } else if (event.key in moves) {
    const next = chosen === null ? 0 : chosen + moves[event.key];
    if (next >= 0 && next < at.columns * at.rows) chosen = next;
    showMark(true);
  } else return;
  event.preventDefault();
});

image.addEventListener("load", () => showMark(!mark.hidden));
window.addEventListener("resize", () => showMark(!mark.hidden));
draw(); // what was chosen before this tab was built
