// A row a target: its score as a curve, its state as a colour, its keyframes as diamonds, the doubts as marks.
// Below them, with a second stream, how far apart in time the two frames of a pair are.

const ROW = 30, NAMES = 44, SKEW = 24;
const INK = "#eceff1";  // a curve in the colour of its target is lost on that of a state
const COLOURS = ["", "#3f6d4e", "#2f4a5c", "#7a5a1e", "#7a2a2a"];  // by the number of the state

export class Timeline {
  constructor(canvas, store, onPick) {
    this.canvas = canvas;
    this.store = store;
    this.picture = document.createElement("canvas");
    const pick = (event) => {
      const edge = canvas.getBoundingClientRect(), share = (event.clientX - edge.left - NAMES) / (edge.width - NAMES);
      const place = Math.round(Math.min(Math.max(share, 0), 1) * (store.count - 1));
      onPick(store.lowest + place, store.ids[Math.floor((event.clientY - edge.top) / ROW)]);
    };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); pick(event); });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) pick(event); });
  }

  #x(frame, width) { return NAMES + (frame - this.store.lowest + 0.5) / this.store.count * (width - NAMES); }

  // Draw everything but the line of the current frame; only when something changed.
  redraw(colour) {
    const {store, canvas, picture} = this, ids = store.ids, dots = devicePixelRatio || 1;
    const width = canvas.clientWidth || 800, bottom = Math.max(ids.length, 1) * ROW;
    const height = bottom + (store.skew.frames.length ? SKEW : 0);
    canvas.style.height = `${height}px`;
    for (const one of [canvas, picture]) { one.width = Math.round(width * dots); one.height = Math.round(height * dots); }
    const context = picture.getContext("2d");
    context.setTransform(dots, 0, 0, dots, 0, 0);
    ids.forEach((id, row) => this.#row(context, id, row * ROW, width, colour(id)));
    if (height > bottom) this.#skew(context, bottom, width);
    context.fillStyle = "#ffcc80";
    for (const doubt of store.doubts) {
      const row = ids.indexOf(doubt.id), x = this.#x(doubt.frame, width);
      if (row < 0) continue;
      context.beginPath();
      context.moveTo(x - 4, row * ROW + 1);
      context.lineTo(x + 4, row * ROW + 1);
      context.lineTo(x, row * ROW + 8);
      context.fill();
    }
  }

  // Bars up to the largest skew, which is written beside them; red where a frame has no partner.
  #skew(context, top, width) {
    const {frames, ms} = this.store.skew;
    let largest = 0;
    for (const one of ms) if (one !== null) largest = Math.max(largest, Math.abs(one));
    context.fillStyle = "#b0bec5";
    context.font = "11px system-ui, sans-serif";
    context.fillText(`${largest < 10 ? largest.toFixed(1) : Math.round(largest)} ms`, 2, top + 15, NAMES - 4);
    const column = Math.max((width - NAMES) / this.store.count, 1);
    frames.forEach((frame, n) => {
      const share = ms[n] === null ? 1 : largest ? Math.abs(ms[n]) / largest : 0;
      const high = Math.max(1, share * (SKEW - 4)), x = this.#x(frame, width) - column / 2;
      context.fillStyle = ms[n] === null ? "#7a2a2a" : "#607d8b";
      context.fillRect(x, top + SKEW - 1 - high, column, high);
    });
  }

  #row(context, id, top, width, colour) {
    const {store} = this, track = store.tracks.get(id), columns = Math.floor(width - NAMES);
    context.fillStyle = colour;
    context.fillRect(0, top + 2, 4, ROW - 4);
    context.fillStyle = INK;
    context.font = "600 13px system-ui, sans-serif";
    context.fillText(String(id), 8, top + 20);
    const curve = new Path2D();
    let isDown = false;
    for (let column = 0; track && column < columns; column++) {
      const from = Math.floor(column / columns * store.count);
      const to = Math.max(from + 1, Math.floor((column + 1) / columns * store.count));
      let worst = 0, lowest = Infinity;
      for (let place = from; place < to; place++) {
        worst = Math.max(worst, track.state[place]);
        if (track.score[place] < lowest) lowest = track.score[place];
      }
      if (!worst || store.isAbsent(id, store.lowest + from)) { isDown = false; continue; }
      context.fillStyle = COLOURS[worst] || COLOURS[2];
      context.fillRect(NAMES + column, top + 2, 1, ROW - 4);
      if (lowest === Infinity) continue;
      const y = top + ROW - 4 - Math.min(Math.max(lowest, 0), 1) * (ROW - 8);
      if (isDown) curve.lineTo(NAMES + column, y); else curve.moveTo(NAMES + column, y);
      isDown = true;
    }
    context.strokeStyle = INK;
    context.lineWidth = 1.5;
    context.stroke(curve);
    for (const key of store.keysOf(id)) {
      const x = this.#x(key.frame, width), y = top + ROW / 2;
      context.fillStyle = "#fff";
      context.strokeStyle = "#111";
      if (key.w !== undefined) {
        context.beginPath();
        for (const [dx, dy] of [[0, -6], [6, 0], [0, 6], [-6, 0]]) context.lineTo(x + dx, y + dy);
        context.closePath();
        context.fill();
        context.stroke();
        continue;
      }
      const next = store.keysOf(id).find((one) => one.frame > key.frame);
      const end = key.until ?? (next ? next.frame : store.lowest + store.count);
      const right = this.#x(end, width);
      context.strokeStyle = "#8a8f94";
      for (let at = x; at < right; at += 6) {
        context.beginPath();
        context.moveTo(at, top + ROW - 5);
        context.lineTo(Math.min(at + 6, right), top + 5);
        context.stroke();
      }
    }
  }

  cursor(frame, selected) {
    const {canvas, picture, store} = this, context = canvas.getContext("2d"), dots = devicePixelRatio || 1;
    if (!picture.width || !picture.height) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, 0, 0);
    context.setTransform(dots, 0, 0, dots, 0, 0);
    const row = store.ids.indexOf(selected), x = this.#x(frame, canvas.width / dots);
    context.strokeStyle = INK;
    if (row >= 0) context.strokeRect(0.5, row * ROW + 0.5, canvas.width / dots - 1, ROW - 1);
    context.fillStyle = "#fff";
    context.fillRect(x - 0.75, 0, 1.5, canvas.height / dots);
  }
}
