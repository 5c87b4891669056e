// Runs in the Sample tab's picture: a click on a digit, or Enter after the arrow keys, asks for it close up.
const image = element.querySelector("img");
const mark = element.querySelector(".gan-mark");
let chosen = null;

// Where the digits are: the picture keeps its shape inside the element, at its left top.
const layout = () => {
  const { columns, rows } = window.ganSampled || {};
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
window.ganSampleSoon?.(); // this tab's parts are there now
