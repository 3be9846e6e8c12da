// What is known: keyframes, rows, doubts. `reviewStore` keeps them on the server, `pickStore` in this page.

export class Gone extends Error {}

// How many frames are held, decoded: 100 million pixels of four bytes, but enough to play from and no more.
export const framesKept = (width, height, streams) => Math.round(Math.min(Math.max(1e8 / (width * height * streams), 4), 48));

export async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  } catch {
    throw new Gone("dmtrack does not answer: it timed out or was stopped");
  }
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

// Columns of a target, by frame: x, y, w, h, score and state (0: no box; see STATES).
export const STATES = ["", "init", "tracked", "uncertain", "lost", "absent"];

class Track {
  constructor(count) {
    this.sides = new Float64Array(4 * count);  // what becomes a keyframe has the digits that were shown
    this.score = new Float32Array(count).fill(NaN);
    this.state = new Uint8Array(count);
  }
  get length() { return this.state.length; }
  take(columns, lowest) {
    const frames = columns[0];
    for (let n = 0; n < frames.length; n++) {
      const place = frames[n] - lowest;
      if (place < 0 || place >= this.length) continue;
      for (let side = 0; side < 4; side++) this.sides[4 * place + side] = columns[1 + side][n];
      this.score[place] = columns[5][n] ?? NaN;
      this.state[place] = columns[6][n] || 2;
    }
  }
}

class Store {
  constructor(setup) {
    this.setup = setup;
    this.lowest = setup.lowest;
    this.keyframes = [];
    this.doubts = [];
    this.progress = {phase: "idle", done: 0, total: null, error: null};
    this.canUndo = false;
    this.tracks = new Map();
    this.skew = {frames: [], ms: []};  // of the two streams; null: a frame without a partner
    this.onChange = () => {};
  }
  get count() { return (this.setup.last ?? this.lowest + 99999) - this.lowest + 1; }
  get ids() { return [...new Set(this.keyframes.map((key) => key.id))].sort((a, b) => a - b); }
  freeId() {
    const taken = new Set(this.ids);
    return this.setup.ids.find((id) => !taken.has(id));
  }
  keysOf(id) { return this.keyframes.filter((key) => key.id === id); }
  keyAt(id, frame) { return this.keyframes.find((key) => key.id === id && (key.frame === frame || key.until === frame)); }
  isAbsent(id, frame) {
    let last = null;
    for (const key of this.keysOf(id)) if (key.frame <= frame) last = key;
    return last !== null && last.w === undefined && (last.until === null || frame < last.until);
  }
  // The box of a target in a frame, or null: what was said, or what was found.
  boxAt(id, frame) {
    const said = this.keyframes.find((key) => key.id === id && key.frame === frame && key.w !== undefined);
    if (said) return {x: said.x, y: said.y, w: said.w, h: said.h, state: "init", score: 1};
    const track = this.tracks.get(id), place = frame - this.lowest;
    if (!track || place < 0 || place >= track.length || !track.state[place] || this.isAbsent(id, frame)) return null;
    const [x, y, w, h] = track.sides.subarray(4 * place, 4 * place + 4);
    return {x, y, w, h, state: STATES[track.state[place]], score: track.score[place]};
  }
  // The last box shortly before a frame, for where a target is not found.
  lastBox(id, frame) {
    for (let at = frame - 1; at >= Math.max(this.lowest, frame - 300); at--) {
      const box = this.boxAt(id, at);
      if (box) return box;
    }
    return null;
  }
  trackOf(id) {
    if (!this.tracks.has(id)) this.tracks.set(id, new Track(this.count));
    return this.tracks.get(id);
  }
}

export class ReviewStore extends Store {
  constructor(setup) {
    super(setup);
    this.revision = 0;
    this.rowsVersion = 0;
    this.fresh = 0;
    this.waiting = Promise.resolve();
  }
  // One question after the other: each names the revision that the one before it left.
  #next(path, body) {
    const answered = this.waiting.then(async () => {
      const values = await (await ask(path, {...body(), fresh: this.fresh})).json();
      await this.#take(values);
    });
    this.waiting = answered.catch(() => {});
    return answered;
  }
  poll() { return this.#next("state", () => ({})); }
  act(action) { return this.#next("change", () => ({...action, revision: this.revision})); }
  undo() { return this.#next("undo", () => ({revision: this.revision})); }
  async #take(state) {
    if (state.revision === this.revision && state.rows === this.rowsVersion &&
        state.freshCount === this.fresh && JSON.stringify(state.progress) === JSON.stringify(this.progress)) return;
    Object.assign(this, {revision: state.revision, keyframes: state.keyframes, doubts: state.doubts,
      progress: state.progress, canUndo: state.canUndo});
    if (state.rows !== this.rowsVersion) {
      const all = await (await ask("rows", {})).json();
      this.rowsVersion = all.version;
      this.tracks.clear();
      this.skew = {frames: all.skew[0], ms: all.skew[1]};
      this.fresh = 0;
      this.#put(all.targets);
    } else {
      this.fresh = state.freshCount;
      this.#put(state.fresh);
    }
    this.onChange();
  }
  #put(targets) {
    for (const [id, columns] of Object.entries(targets)) this.trackOf(Number(id)).take(columns, this.lowest);
  }
}

export class PickStore extends Store {
  #before = [];
  #lastSign = Date.now();
  constructor(setup) {  // what was drawn before the page was loaded anew
    super(setup);
    [this.#before, this.keyframes] = JSON.parse(sessionStorage.getItem(location.pathname) ?? "[[], []]");
    this.canUndo = this.#before.length > 0;
  }
  async act(action) {
    this.#before.push(this.keyframes);
    const {do: what, revision, ...key} = action;
    this.keyframes = [...this.keyframes.filter((one) => one.id !== key.id), key].sort((a, b) => a.id - b.id);
    this.#changed();
  }
  async undo() {
    if (this.#before.length) this.keyframes = this.#before.pop();
    this.#changed();
  }
  #changed() {
    this.canUndo = this.#before.length > 0;
    sessionStorage.setItem(location.pathname, JSON.stringify([this.#before, this.keyframes]));
    this.onChange();
    if (Date.now() - this.#lastSign < 5000) return;
    this.#lastSign = Date.now();
    ask("alive", {}).catch(() => {});
  }
}
