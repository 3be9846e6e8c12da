// The two pictures: shown with the same zoom, and boxes drawn, moved and resized on either of them.

const HANDLE = 9, FINGER = 20;  // so near to a corner, in CSS pixels, it is dragged; by a finger
const MOST_ZOOM = 40;

export class Stage {
  constructor(canvases, setup, hooks) {
    this.canvases = canvases;
    this.setup = setup;
    this.hooks = hooks;  // boxes(), seen(): what is shown; draw(box), change(id, box), take(box), select(id), say(text), busy()
    this.pictures = [];
    this.zoom = 1;
    this.centre = [setup.width / 2, setup.height / 2];
    this.drag = null;
    this.blended = false;  // both pictures in one
    this.fingers = new Map();  // on a picture: where each of them is
    for (const canvas of canvases) this.#listen(canvas);
    this.fit();
  }

  fit() {
    for (const canvas of this.canvases) {
      canvas.style.aspectRatio = `${this.setup.width} / ${this.setup.height}`;
      const dots = devicePixelRatio || 1;
      const width = Math.round((canvas.clientWidth || this.setup.width) * dots);
      const height = Math.round((canvas.clientHeight || this.setup.height) * dots);
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
    }
    this.paint();
  }

  // CSS pixels a frame pixel, and where the frame's corner lies in the canvas.
  #view(canvas) {
    const {width, height} = this.setup, wide = canvas.clientWidth || width, high = canvas.clientHeight || height;
    const scale = Math.min(wide / width, high / height) * this.zoom;
    return {scale, left: wide / 2 - this.centre[0] * scale, top: high / 2 - this.centre[1] * scale};
  }

  #place(canvas, event) {
    const edge = canvas.getBoundingClientRect(), {scale, left, top} = this.#view(canvas);
    const clip = (value, most) => Math.min(Math.max(value, 0), most);
    return [clip((event.clientX - edge.left - left) / scale, this.setup.width),
      clip((event.clientY - edge.top - top) / scale, this.setup.height)];
  }

  paint() {
    const boxes = this.hooks.boxes();
    this.canvases.forEach((canvas, n) => {
      const context = canvas.getContext("2d"), dots = devicePixelRatio || 1;
      const {scale, left, top} = this.#view(canvas);
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.setTransform(scale * dots, 0, 0, scale * dots, left * dots, top * dots);
      context.imageSmoothingEnabled = scale < 3;
      if (this.pictures[n]) context.drawImage(this.pictures[n], 0, 0, this.setup.width, this.setup.height);
      if (this.blended && n === 0 && this.pictures[1]) {
        context.globalAlpha = 0.5;
        context.drawImage(this.pictures[1], 0, 0, this.setup.width, this.setup.height);
        context.globalAlpha = 1;
      }
      context.setLineDash([]);
      for (const box of this.hooks.seen()) {
        for (const [style, width] of [["rgba(16,16,16,.7)", 3], ["#fff", 1]]) {
          context.strokeStyle = style;
          context.lineWidth = width / scale;
          context.strokeRect(box.x, box.y, box.w, box.h);
        }
      }
      for (const box of boxes) this.#outline(context, box, 1 / scale);
      const taken = [];  // the selected target's label first: it is never moved aside
      for (const box of [...boxes].sort((a, b) => Boolean(b.selected) - Boolean(a.selected))) {
        this.#label(context, box, 1 / scale, taken, [-left / scale, -top / scale, (canvas.clientWidth - left) / scale, (canvas.clientHeight - top) / scale]);
      }
      if (this.drag && this.drag.box) this.#outline(context, {...this.drag.box, colour: this.drag.colour, label: ""}, 1 / scale);
    });
  }

  #outline(context, box, unit) {
    if (this.drag && this.drag.box && this.drag.id === box.id) return;
    context.setLineDash(box.dashed ? [4 * unit, 4 * unit] : []);
    for (const [style, width] of [["rgba(16,16,16,.85)", 4], [box.colour, box.selected ? 3 : 2]]) {
      context.strokeStyle = style;
      context.lineWidth = width * unit;
      context.strokeRect(box.x, box.y, box.w, box.h);
    }
    context.setLineDash([]);
    if (box.selected) {
      context.fillStyle = box.colour;
      const side = Math.min(7 * unit, Math.max(3 * unit, Math.min(box.w, box.h) / 3));  // a small target stays in sight
      for (const [x, y] of corners(box)) context.fillRect(x - side / 2, y - side / 2, side, side);
    }
  }

  // Above the box, below it, or inside, where no label is yet and where it can be seen.
  #label(context, box, unit, taken, [x1, y1, x2, y2]) {
    if (!box.label || (this.drag && this.drag.box && this.drag.id === box.id)) return;
    if (box.x > x2 || box.y > y2 || box.x + box.w < x1 || box.y + box.h < y1) return;
    context.font = `600 ${14 * unit}px system-ui, sans-serif`;
    const width = context.measureText(box.label).width + 8 * unit, height = 18 * unit;
    const [least, most] = [Math.max(0, y1), Math.min(this.setup.height, y2) - height];
    const left = Math.max(0, x1, Math.min(box.x, this.setup.width - width, x2 - width));
    const tops = [box.y - height, box.y + box.h, box.y, box.y - 2 * height, box.y + box.h + height, least].filter((one) => one >= least && one <= most);
    const isFree = (one) => taken.every((other) => one >= other.top + height || other.top >= one + height ||
      left >= other.left + other.width || other.left >= left + width);
    const top = tops.find(isFree) ?? tops[0] ?? least;
    taken.push({left, top, width});
    context.fillStyle = box.colour;
    context.fillRect(left, top, width, height);
    context.fillStyle = box.ink;
    context.fillText(box.label, left + 4 * unit, top + 13.5 * unit);
  }

  #listen(canvas) {
    canvas.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch") this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
      if (this.fingers.size > 1) { this.drop(); return; }  // two fingers move and zoom
      if (this.hooks.busy()) return;
      const [x, y] = this.#place(canvas, event), reach = event.pointerType === "touch" ? FINGER : HANDLE;
      if (event.button === 1 || (event.button === 0 && event.shiftKey)) {
        this.drag = {canvas, pan: [event.clientX, event.clientY, ...this.centre]};
      } else if (event.button === 0) {
        this.drag = {canvas, box: null, ...this.#grasp(x, y, event.ctrlKey || this.hooks.adding() ? null : reach / this.#view(canvas).scale)};
        this.hooks.say("");
      } else return;
      canvas.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.fingers.size > 1 && this.fingers.has(event.pointerId)) { this.#pinch(canvas, event); return; }
      const drag = this.drag;
      if (!drag || drag.canvas !== canvas) return;
      if (drag.pan) {
        const {scale} = this.#view(canvas), [x, y, cx, cy] = drag.pan;
        this.centre = [cx - (event.clientX - x) / scale, cy - (event.clientY - y) / scale];
      } else drag.box = this.#dragged(drag, this.#place(canvas, event));
      this.paint();
    });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.fingers.delete(event.pointerId));
    canvas.addEventListener("pointerup", (event) => {
      const drag = this.drag;
      if (!drag || drag.canvas !== canvas) return;
      this.drag = null;
      if (!drag.pan) {
        const box = this.#dragged(drag, this.#place(canvas, event));
        if (drag.id !== undefined && drag.moved) this.hooks.change(drag.id, box ?? drag.start);
        else if (drag.id !== undefined) this.hooks.select(drag.id);
        else if (box) this.hooks.draw(box);
        else if (this.#seenAt(...drag.from)) this.hooks.take(this.#seenAt(...drag.from));
        else this.hooks.say("that was a click: drag from one corner to the opposite one");
      }
      this.paint();
    });
    canvas.addEventListener("pointercancel", () => this.drop());
    canvas.addEventListener("auxclick", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#zoomAt(canvas, event.clientX, event.clientY, 2 ** (-event.deltaY / 300));
    }, {passive: false});
    canvas.addEventListener("dblclick", () => this.whole());
  }

  #zoomAt(canvas, clientX, clientY, times) {
    const edge = canvas.getBoundingClientRect(), before = this.#view(canvas);
    const x = (clientX - edge.left - before.left) / before.scale;
    const y = (clientY - edge.top - before.top) / before.scale;
    this.zoom = Math.min(Math.max(this.zoom * times, 1), MOST_ZOOM);
    const {scale} = this.#view(canvas), share = 1 - before.scale / scale;
    this.centre = this.zoom === 1 ? [this.setup.width / 2, this.setup.height / 2] :
      [this.centre[0] + (x - this.centre[0]) * share, this.centre[1] + (y - this.centre[1]) * share];
    this.paint();
  }

  // One of two fingers has moved: what lies between them stays there.
  #pinch(canvas, event) {
    const middle = () => [...this.fingers.values()].slice(0, 2).reduce(([x1, y1], [x2, y2]) => [(x1 + x2) / 2, (y1 + y2) / 2]);
    const apart = () => { const [one, other] = [...this.fingers.values()]; return Math.hypot(one[0] - other[0], one[1] - other[1]); };
    const [x, y] = middle(), before = apart();
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    const [left, top] = middle(), {scale} = this.#view(canvas);
    this.centre = [this.centre[0] - (left - x) / scale, this.centre[1] - (top - y) / scale];
    this.#zoomAt(canvas, left, top, before > 0 ? apart() / before : 1);
  }

  // What lies under the pointer: a corner of a box, its inside, or nothing, where a new box begins; it does
  // everywhere without a reach.
  #grasp(x, y, reach) {
    if (reach === null) return {from: [x, y], colour: this.hooks.colour()};
    const boxes = this.hooks.boxes().filter((box) => box.here).sort((a, b) => Boolean(b.selected) - Boolean(a.selected));
    for (const box of boxes) {
      const near = Math.min(reach, Math.max(box.w, box.h) / 3);
      const corner = corners(box).findIndex(([cx, cy]) => Math.abs(cx - x) <= near && Math.abs(cy - y) <= near);
      if (corner >= 0 && box.selected) return {id: box.id, start: box, from: corners(box)[3 - corner], colour: box.colour, resize: true};
    }
    const inside = boxes.find((box) => x > box.x && x < box.x + box.w && y > box.y && y < box.y + box.h);
    if (inside) return {id: inside.id, start: inside, from: [x, y], colour: inside.colour};
    return {from: [x, y], colour: this.hooks.colour()};
  }

  // The smallest box of the detector around a point.
  #seenAt(x, y) {
    return this.hooks.seen().filter((box) => x > box.x && x < box.x + box.w && y > box.y && y < box.y + box.h)
      .sort((a, b) => a.w * a.h - b.w * b.h)[0];
  }

  #dragged(drag, [x, y]) {
    if (Math.abs(x - drag.from[0]) + Math.abs(y - drag.from[1]) > 0.5) drag.moved = true;
    const round = (value) => Math.round(value * 100) / 100;
    let box;
    if (drag.id !== undefined && !drag.resize) {
      const {w, h} = drag.start;
      box = {x: round(drag.start.x + x - drag.from[0]), y: round(drag.start.y + y - drag.from[1]), w: round(w), h: round(h)};
    } else {
      box = {x: round(Math.min(drag.from[0], x)), y: round(Math.min(drag.from[1], y)),
        w: round(Math.abs(x - drag.from[0])), h: round(Math.abs(y - drag.from[1]))};
    }
    return Math.min(box.w, box.h) < this.setup.smallest ? null : box;
  }

  drop() { this.drag = null; this.paint(); }
  whole() { this.zoom = 1; this.centre = [this.setup.width / 2, this.setup.height / 2]; this.paint(); }
}

function corners({x, y, w, h}) { return [[x, y], [x + w, y], [x, y + h], [x + w, y + h]]; }
