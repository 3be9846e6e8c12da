// Puts the parts together: frames, keys, buttons.
import {ask, framesKept, Gone, PickStore, ReviewStore} from "./store.js";
import {Stage} from "./stage.js";
import {Timeline} from "./timeline.js";

const part = (id) => document.getElementById(id);
const setup = JSON.parse(part("setup").textContent);
const isReview = setup.mode === "review";
document.body.classList.add(setup.mode);
const store = isReview ? new ReviewStore(setup) : new PickStore(setup);
const lowest = setup.lowest, last = setup.last ?? Infinity;
const KEPT = framesKept(setup.width, setup.height, setup.aux ? 2 : 1), PLAY_MS = 40;
const NEAR_SIDES = 3;  // a box of the detector that lies further away, in sides of the target, is another thing

let shown = setup.first, wanted = setup.first, selected = null, adding = false, loading = false, over = false;
let playing = false, doubtNumber = -1, toSay = "", seen = [];  // boxes of the detector in the frame that is shown
const frames = new Map();  // the last frames that were loaded: pictures and clock

const shades = (id) => setup.colours[((id ?? 1) - 1) % setup.colours.length];
const colour = (id, alpha = 1) => `rgba(${shades(id).join()},${alpha})`;
const ink = (id) => {  // for what is written on that colour
  const [r, g, b] = shades(id);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 105 ? "#fff" : "#101010";
};
const say = (text) => { part("message").textContent = text; };
const nextId = () => isReview && !adding && selected !== null ? selected : store.freeId();

function complain(error) {
  say(error.message);
  if (error instanceof Gone) part("progress").textContent = "not running";
  if (error instanceof Gone && isReview) say("dmtrack was stopped. What you did is kept: start it again, and open its new address.");
}

// --- what is drawn ---

function shownBoxes() {
  const boxes = [];
  for (const id of store.ids) {
    const here = store.boxAt(id, shown);
    if (here) {
      const doubtful = here.state === "lost" || here.state === "uncertain";
      const score = isReview && here.state !== "init" && !Number.isNaN(here.score) ? ` ${here.score.toFixed(2)}` : "";
      boxes.push({...here, id, here: true, dashed: doubtful, selected: id === selected, colour: colour(id), ink: ink(id), label: `${id}${score}`});
    } else if (!isReview) {
      const [key] = store.keysOf(id);
      boxes.push({...key, dashed: true, colour: colour(id, .7), ink: ink(id), label: `${id} (frame ${key.frame})`});
    }
  }
  return boxes;
}

const stage = new Stage(setup.aux ? [part("rgb"), part("aux")] : [part("rgb")], setup, {
  boxes: shownBoxes, seen: () => seen, take, say, colour: () => colour(nextId()), busy: () => loading || over,
  adding: () => adding, select, change: (id, box) => putBox(id, box), draw: (box) => putBox(nextId(), box)});
const timeline = new Timeline(part("timeline"), store, (frame, id) => { if (id !== undefined) select(id); show(frame); });

function select(id) {
  selected = id;
  adding = false;
  refresh();
}

function refresh() {
  stage.paint();
  timeline.cursor(wanted, selected);
  fill(part("boxes"), store.ids.map(listed));
  part("undo").disabled = !store.canUndo;
  part("submit").disabled = store.ids.length === 0;
  part("submit").textContent = store.ids.length > 1 ? `Track ${store.ids.length} targets` : "Track";
  for (const id of ["accept", "delete", "absent", "present", "split", "remove", "rename"]) part(id).disabled = selected === null;
  part("add").disabled = adding;
}

// Put other items into a list; the one that has the focus keeps it.
function fill(list, items) {
  const at = [...list.children].findIndex((item) => item.contains(document.activeElement));
  list.replaceChildren(...items);
  if (at >= 0) list.children[at]?.firstChild.focus();
}

function entry(text, action) {
  const item = document.createElement("li"), button = document.createElement("button");
  button.textContent = text;
  button.addEventListener("click", action);
  item.append(button);
  return item;
}

function listed(id) {
  const box = isReview ? store.boxAt(id, shown) : store.keysOf(id)[0];
  const sides = box && [box.x, box.y, box.w, box.h].map((side) => Math.round(side)).join(",");
  let text = `${id}: ${sides} from frame ${box?.frame}`;
  if (isReview) text = `${id}: ${box ? `${sides} ${store.keyAt(id, shown) ? "given" : box.state}` : store.isAbsent(id, shown) ? "absent" : "no box"}`;
  const item = entry(text, () => select(id));
  item.style.borderLeftColor = colour(id);
  item.classList.toggle("selected", isReview && id === selected);
  return item;
}

function progressText({phase, done, total, error}) {
  if (phase === "failed") return `could not be tracked: ${error}`;
  if (phase === "idle") return store.ids.length ? `up to date in ${setup.folder}` : "draw a box around each target";
  return phase === "loading" ? "loading the network" : `${phase}: ${done}${total === null || done > total ? "" : ` of ${total}`} frames`;
}

store.onChange = () => {
  if (selected === null || !store.ids.includes(selected)) selected = isReview ? store.ids[0] ?? null : null;
  if (isReview) {
    part("progress").textContent = progressText(store.progress);
    timeline.redraw(colour);
    fill(part("doubts"), store.doubts.slice(0, 12).map((doubt, number) =>
      entry(`frame ${doubt.frame}, target ${doubt.id}: ${doubt.reason}`, () => goTo(number))));
  }
  refresh();
};

// --- frames ---

async function load(frame) {
  if (!frames.has(frame)) {
    const loaded = (async () => {
      const [first, second] = await Promise.all([ask(`frame/${frame}/rgb.jpg`), setup.aux && ask(`frame/${frame}/aux.jpg`)]);
      const pictures = [await createImageBitmap(await first.blob())];
      if (second) pictures.push(await createImageBitmap(await second.blob()));
      const index = Number(first.headers.get("X-Frame"));
      const detected = setup.detector ? (await (await ask("seen", {frame: index})).json()).boxes : [];
      return {pictures, index, detected, clock: first.headers.get("X-Clock")};
    })();
    loaded.catch(() => frames.delete(frame));
    frames.set(frame, loaded);
    while (frames.size > KEPT) frames.delete(frames.keys().next().value);
  }
  return frames.get(frame);
}

async function show(frame, text = "") {
  toSay = text;
  if (!Number.isNaN(frame)) wanted = Math.min(Math.max(Math.round(frame), lowest), last);
  part("slider").value = part("number").value = wanted;
  timeline.cursor(wanted, selected);
  if (loading) return;
  loading = true;
  let target = null;
  try {
    while (target !== wanted) {
      const isOn = target === null ? wanted > shown : wanted > target;
      target = wanted;
      const {pictures, index, detected, clock} = await load(target);
      if (target < shown && index >= shown && target > lowest) {  // back over a frame that is missing
        if (wanted === target) wanted--;
        continue;
      }
      shown = index;
      seen = detected;
      stage.pictures = pictures;
      stage.drag = null;
      part("clock").textContent = clock;
      say(toSay);
      refresh();
      if (isOn && target < last) load(target + 1).catch(() => {});
    }
  } catch (error) {
    complain(error);
    playing = false;
  }
  wanted = shown;
  loading = false;
  part("slider").value = part("number").value = shown;
  timeline.cursor(shown, selected);
}

async function play() {
  playing = !playing;
  part("play").textContent = playing ? "Pause" : "Play";
  while (playing && shown < last) {
    const next = performance.now() + PLAY_MS;
    await show(shown + 1);
    await new Promise((done) => setTimeout(done, Math.max(0, next - performance.now())));
  }
  playing = false;
  part("play").textContent = "Play";
}

function goTo(number) {
  if (!store.doubts.length) { say("there is no place that looks doubtful"); return; }
  doubtNumber = number % store.doubts.length;
  const {id, frame, reason} = store.doubts[doubtNumber];
  select(id);
  show(frame, `target ${id}: ${reason}`);
}

// --- what the person does ---

async function act(action) {
  try {
    await store.act(action);
    say("");
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

function putBox(id, box) {
  if (id === undefined) { say(`${setup.ids.length} targets are the limit`); return Promise.resolve(false); }
  if (isReview) selected = id;
  adding = false;
  doubtNumber = -1;
  return act({do: "box", id, frame: shown, ...box, ...(isReview ? {back: part("both").checked} : {})});
}

function take({x, y, w, h, label, score}) {
  const id = nextId(), named = [label, score?.toFixed(2)].filter((word) => word).join(" ");
  putBox(id, {x, y, w, h}).then((isDone) => { if (isDone) say(`target ${id} takes the box of the detector${named && ` (${named})`}`); });
}

// Of the boxes of the detector the one nearest to the target, in its own sides; for a new target the surest.
function takeNearest() {
  const box = adding || selected === null ? null : store.boxAt(selected, shown) ?? store.lastBox(selected, shown);
  const way = (one) => Math.hypot(one.x + one.w / 2 - box.x - box.w / 2, one.y + one.h / 2 - box.y - box.h / 2);
  const far = (one) => !box ? -(one.score ?? 1) : way(one) + Math.abs(one.w - box.w) + Math.abs(one.h - box.h);
  const [best] = [...seen].sort((a, b) => far(a) - far(b));
  if (best && box && way(best) > NEAR_SIDES * Math.max(box.w, box.h, best.w, best.h)) say("no box of the detector is near the target: click on the one that you mean");
  else if (best) take(best);
  else say(setup.detector ? "the detector saw nothing in this frame" : "there are no detections: start with --detections FILE");
}

function accept() {
  const box = selected === null ? null : store.boxAt(selected, shown);
  if (!box) { say("there is no box here: draw it"); return; }
  putBox(selected, {x: box.x, y: box.y, w: box.w, h: box.h});
}

const onSelected = (what, more = () => ({})) => () => {
  if (selected !== null) act({do: what, id: selected, frame: shown, ...more()});
};

function split() {
  const box = selected === null ? null : store.boxAt(selected, shown);
  if (!box) { say("there is no box here"); return; }
  const made = store.freeId();
  act({do: "split", id: selected, frame: shown, new: made, x: box.x, y: box.y, w: box.w, h: box.h}).then((isDone) => { if (isDone) select(made); });
}

function rename() {
  const made = part("newid").valueAsNumber;
  if (!(made >= 1 && Number.isSafeInteger(made))) { say("which id? Write a whole number from 1 on beside the button"); return; }
  act({do: "rename", id: selected, new: made}).then((isDone) => { if (isDone) select(made); });
}

function undo() {
  if (stage.drag) { stage.drop(); return; }
  store.undo().then(() => say("the last action is taken back"), complain);
}

function end(text) {
  over = true;
  playing = false;
  const note = document.createElement("h1");
  note.id = "end";
  note.textContent = text;
  for (const child of document.body.children) child.hidden = true;  // what is still answered finds its place
  document.body.append(note);
}

async function submit() {
  if (over) return;
  if (!store.ids.length) { say("no box yet: drag from one corner of a target to the opposite one"); return; }
  try {
    await ask("submit", {boxes: store.keyframes.map(({frame, x, y, w, h}) => ({frame, x, y, w, h}))});
    end("Tracking has begun. This page is no longer needed.");
  } catch (error) { say(error.message); }
}

function view() {
  if (!setup.aux) return;
  stage.blended = !stage.blended;
  part("second").hidden = stage.blended;
  part("rgb").nextElementSibling.textContent = stage.blended ? `first stream and ${setup.aux}` : "first stream";
  part("view").textContent = stage.blended ? "Side by side" : "Blended";
  stage.fit();
}

const leave = (question, text) => () => ask(question, {}).then(() => end(text), complain);

const buttons = {
  submit, undo, play, accept, split, rename, view, take: takeNearest,
  cancel: leave("cancel", "Cancelled. Nothing is tracked."),
  finish: leave("finish", "Everything is kept. This page is no longer needed."),
  delete: onSelected("delete"), absent: onSelected("absent"), present: onSelected("back"), remove: onSelected("remove"),
  add: () => { adding = true; refresh(); say("draw the new target"); },
  back10: () => show(wanted - 10), back: () => show(wanted - 1), on: () => show(wanted + 1), on10: () => show(wanted + 10),
};
for (const [id, action] of Object.entries(buttons)) part(id).addEventListener("click", action);
part("slider").addEventListener("input", (event) => show(event.target.valueAsNumber));
part("number").addEventListener("change", (event) => show(event.target.valueAsNumber));

const keys = {
  ArrowLeft: (event) => show(wanted - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => show(wanted + (event.shiftKey ? 10 : 1)),
  Home: () => show(lowest), End: () => show(last === Infinity ? shown : last),
  Escape: () => { adding = false; say(""); stage.drop(); refresh(); }, u: undo, v: view, 0: () => stage.whole(), " ": play,
  ...(isReview ? {Enter: accept, Delete: buttons.delete, Backspace: buttons.delete, n: () => goTo(doubtNumber + 1),
    m: buttons.absent, b: buttons.present, a: buttons.add, d: takeNearest} : {Enter: submit}),
};
document.addEventListener("keydown", (event) => {
  if (over) return;
  if (event.target.type === "number") {  // Enter goes there, and gives the keys back to the page
    if (event.key === "Enter" && event.target === part("newid")) rename();
    if (event.key === "Enter" || event.key === "Escape") event.target.blur();
    return;
  }
  const isUndo = event.key === "z" && (event.ctrlKey || event.metaKey);
  const action = isUndo ? undo : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const isButton = (event.target.tagName === "BUTTON" || event.target.type === "checkbox") && (event.key === "Enter" || event.key === " ");
  if (!action || isButton || (!isUndo && (event.ctrlKey || event.metaKey || event.altKey))) return;
  event.preventDefault();
  action(event);
});
addEventListener("resize", () => { stage.fit(); if (isReview) timeline.redraw(colour); refresh(); });

// --- the beginning ---

if (setup.aux) {
  part("view").hidden = false;
  part("second").hidden = false;
  part("second").lastElementChild.textContent = setup.aux;
}
for (const input of [part("slider"), part("number")]) {
  input.min = lowest;
  if (setup.last !== null) input.max = setup.last;
  input.value = setup.first;
}
part("take").hidden = !setup.detector;
part("slider").hidden = setup.last === null;
part("what").textContent = isReview ? "Put boxes right where they are wrong." : `Drag a box around each target${setup.aux ? ", on either picture" : ""}.`;
const blending = setup.aux ? " · v: blended" : "";
part("help").textContent = isReview ?
  `space: play · arrows: frames (Shift: 10) · n: next doubtful place · Enter: the box is right · Delete: take the keyframe away ${setup.detector ? "· d: the detector's box " : ""}· m: absent · b: back · a: new target · Ctrl-Z: undo · wheel or two fingers: zoom · Shift and drag: move · Ctrl and drag: draw anywhere · 0: whole picture${blending}` :
  `Enter: track · u: undo · arrows: frames · wheel or two fingers: zoom${blending} · Esc: drop the drag`;

async function follow() {
  while (!over) {
    try {
      await store.poll();
      if (store.progress.phase === "failed") say(progressText(store.progress));
    } catch (error) {
      complain(error);
    }
    const isBusy = !["idle", "failed"].includes(store.progress.phase);
    await new Promise((done) => setTimeout(done, isBusy ? 400 : 1500));
  }
}

stage.fit();
show(setup.first);
if (isReview) follow();
else store.onChange();
