// What is in view as a picture to keep, the mark in its pixels.

const WIDE = 640, STRIP = 30, GAP = 8; // of one version's picture, px
const RED = "#9b1c1c", SLATE = "#3c4752", BRIGHTER = 3;

// `shots`: [{video, mask, label, synthetic}]; `window`: {zoom, left, top} or null; `share`: of a wipe, where between 0 and 1
// the first of the two versions ends.
function sheet(shots, { scene, window, columns, view, share }, caption) {
  const two = view !== "all", wide = two ? 2 * WIDE : WIDE, rows = two ? 1 : Math.ceil(shots.length / columns);
  const high = Math.round(window ? wide : (wide * scene.height) / scene.width);
  const canvas = document.createElement("canvas");
  canvas.width = columns * wide + (columns + 1) * GAP;
  canvas.height = rows * (high + STRIP + GAP) + GAP + STRIP;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  shots.forEach((shot, place) => {
    const x = GAP + (two ? 0 : place % columns) * (wide + GAP);
    const y = GAP + (two ? 0 : Math.floor(place / columns)) * (high + STRIP + GAP);
    const [from, to] = view !== "wipe" ? [0, 1] : place === 0 ? [0, share] : [share, 1];
    pen.save();
    clip(pen, x + from * wide, y, (to - from) * wide, high + STRIP);
    if (view === "difference" && place) pen.globalCompositeOperation = "difference";
    draw(pen, shot.video, scene, window, x, y, wide, high);
    if (shot.mask) {
      pen.globalCompositeOperation = "screen";
      pen.globalAlpha = 0.45;
      draw(pen, shot.mask, scene, window, x, y, wide, high);
      pen.globalAlpha = 1;
    }
    pen.globalCompositeOperation = "source-over";
    if (view === "difference" && place) brighten(pen, x, y, wide, high);
    pen.fillStyle = shot.synthetic ? RED : SLATE;
    pen.fillRect(x, y + high, wide, STRIP);
    const [align, at] = !two ? ["center", wide / 2] : place ? ["right", wide - 12] : ["left", 12];
    write(pen, shot.label, x + at, y + high + STRIP / 2, align, "#ffffff", "600 17px");
    pen.restore();
  });
  write(pen, caption, GAP, canvas.height - STRIP / 2 - 2, "left", "#1f2933", "15px");
  return canvas;
}

function draw(pen, video, scene, window, x, y, wide, high) {
  const { videoWidth: w, videoHeight: h } = video;
  const across = window ? w / window.zoom : w, down = window ? ((across / w) * h * scene.width) / scene.height : h;
  pen.drawImage(video, window ? window.left * w : 0, window ? window.top * h : 0, across, down, x, y, wide, high);
}

function clip(pen, ...box) {
  pen.beginPath();
  pen.rect(...box);
  pen.clip();
}

function brighten(pen, x, y, wide, high) {
  pen.globalCompositeOperation = "lighter";
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [wide, high];
  copy.getContext("2d").drawImage(pen.canvas, x, y, wide, high, 0, 0, wide, high);
  for (let times = 1; times < BRIGHTER; times++) pen.drawImage(copy, x, y);
  pen.globalCompositeOperation = "source-over";
}

function write(pen, text, x, y, align, colour, size) {
  Object.assign(pen, { fillStyle: colour, textAlign: align, textBaseline: "middle", font: `${size} system-ui, sans-serif` });
  pen.fillText(text, x, y);
}

async function save(canvas, name) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
