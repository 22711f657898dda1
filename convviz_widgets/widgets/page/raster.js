// A raster: a picture whose every pixel is seen, its tiles, and what pointer and keys mean there.
import { Book } from "./book.js";
import { act, hearKernel, inWords, make, modelsOf, write } from "./element.js";
import { drawShapes } from "./shapes.js";
import { recoloured } from "./palette.js";
import { pageOf } from "./store.js";

/**
 * @typedef {{ count: number, columns: number, gap: number, pitch: [number, number],
 *             enlarge: number, reduce: number, size: [number, number] }} Grid
 *   Where tiles lie: `pitch` is down and across, gap included; `size` is a tile's in source pixels.
 * @typedef {import("./book.js").Frame} Frame
 * @typedef {import("./element.js").Model} Model
 */

const DECODED = 24 * 2 ** 20; // bytes of decoded pictures that a page keeps
const AHEAD = 3; // checkpoints on either side of the clock whose pictures are decoded
const REST = 80; // milliseconds of rest after which the kernel is asked for what is not here
const NAMING = 150; // milliseconds of rest after which all tiles are named anew

/** Pictures that are decoded, those used last at the end: beyond some bytes the first go. */
class Decoded {
  constructor() {
    /** @type {Map<Frame, { bitmap: ImageBitmap, look: string }>} */
    this.kept = new Map();
    this.bytes = 0;
  }

  /**
   * @param {Frame} frame
   * @param {string} look the colour map that it must be in
   */
  get(frame, look) {
    const found = this.kept.get(frame);
    if (!found || found.look !== look) return undefined;
    this.kept.delete(frame);
    this.kept.set(frame, found);
    return found.bitmap;
  }

  /**
   * @param {Frame} frame
   * @param {string} look
   * @param {ImageBitmap} bitmap
   */
  put(frame, look, bitmap) {
    this.drop(frame);
    this.kept.set(frame, { bitmap, look });
    this.bytes += 4 * bitmap.width * bitmap.height;
    for (const oldest of this.kept.keys()) {
      if (this.bytes <= DECODED || oldest === frame) break;
      this.drop(oldest);
    }
  }

  /** @param {Frame} frame */
  drop(frame) {
    const found = this.kept.get(frame);
    if (!found) return;
    this.kept.delete(frame);
    this.bytes -= 4 * found.bitmap.width * found.bitmap.height;
    found.bitmap.close();
  }
}

/** @returns {Decoded} */
function decoded() {
  const shared = /** @type {any} */ (pageOf());
  return (shared.decoded ??= new Decoded());
}

/** The element of a raster on the page. */
class Raster {
  /**
   * @param {Model} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    this.model = model;
    this.id = `cvw-${++pageOf().orders}`;
    /** @type {Frame | null} */
    this.frame = null;
    /** @type {number | null} */
    this.hovered = null;
    /** @type {Set<Frame>} */
    this.decoding = new Set();
    /** @type {{ caption?: any, pointed?: any }} */
    this.words = {};
    this.painted = "";
    this.outlined = "";
    /** @type {number | null} */
    this.marked = null;
    /** @type {[number, number] | null} */
    this.at = null;
    this.canvas = /** @type {HTMLCanvasElement} */ (make("canvas", "cvw-picture"));
    this.canvas.width = this.canvas.height = 1;
    this.shapes = /** @type {HTMLCanvasElement} */ (make("canvas", "cvw-shapes"));
    this.outlines = make("div", "cvw-outlines");
    this.cells = make("div", "cvw-cells");
    const parts = [this.canvas, this.shapes, this.outlines, this.cells];
    this.room = make("div", "cvw-room", {}, parts);
    this.view = make("div", model.get("pane") ? "cvw-pane" : "cvw-scroll", {}, [this.room]);
    this.bar = make("div", "cvw-bar");
    this.#assemble(el);
    this.state = pageOf().state(model.get("state_id"));
    this.book = new Book(model, (frame) => this.#paint(frame), (frame) => this.#prepare(frame),
      (frame) => decoded().drop(frame));
    this.#observe();
    this.#findWords();
  }

  // -- the element --------------------------------------------------------------------------

  /** @param {HTMLElement} el */
  #assemble(el) {
    const model = this.model;
    if (model.get("listens")) this.room.setAttribute("tabindex", "0");
    this.#describe(null);
    // JupyterLab would act on arrows, and on letters, before the element sees them.
    this.room.setAttribute("data-lm-suppress-shortcuts", "true");
    this.bar.hidden = !model.get("bar");
    this.#size();
    el.classList.add("cvw-raster");
    el.append(this.view, this.bar);
    this.#listen();
  }

  /** Be as large as the frame; with a colour bar, which stands close below, no higher than it. */
  #size() {
    const [width, height] = [this.model.get("width"), this.model.get("height")];
    const { style } = this.view;
    style.width = `${width}px`;
    style[this.bar.hidden ? "height" : "maxHeight"] = `${height}px`;
  }

  #observe() {
    const model = this.model;
    model.on("change:highlight_boxes change:selected", () => this.#outline());
    model.on("change:drawing", () => this.#draw());
    model.on("change:width change:height", () => {
      this.#size();
      this.#measure();
      this.#draw();
    });
    this.state.hearAnswers(model, this.id);
    model.on("msg:custom", (/** @type {any} */ message) => {
      if (typeof message?.words === "string" && this.hovered !== null) {
        write(this.words.pointed, message.words);
      }
    });
    this.follower = {
      counts: () => false, has: () => true, show: () => this.#outline(),
    };
    this.state.followers.add(this.follower);
    this.#watchScreen();
    this.#draw();
  }

  async #findWords() {
    const ids = [this.model.get("caption_id"), this.model.get("pointed_id")];
    const [caption, pointed] = await modelsOf(this.model, ids);
    this.words = { caption, pointed };
    if (this.frame) this.#paint(this.frame);
  }

  #watchScreen() {
    const again = () => {
      this.screen?.removeEventListener("change", again);
      this.screen = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
      this.screen.addEventListener("change", again);
      this.#measure();
      this.#outline();
      this.#draw();
    };
    again();
    this.unwatch = () => this.screen?.removeEventListener("change", again);
  }

  close() {
    this.unwatch?.();
    this.book.close();
    if (this.follower) this.state.leave(this.follower);
    clearTimeout(this.naming);
    clearTimeout(this.asking);
  }

  // -- pictures -----------------------------------------------------------------------------

  /**
   * The colour map in which a frame is to be seen; empty for one that has no palette.
   * @param {Frame} frame
   */
  #look(frame) {
    const chosen = this.book?.colormap;
    if (!chosen || !frame.recolours?.includes(chosen)) return frame.colormap ?? "";
    return chosen === "automatic" ? frame.automatic ?? "" : chosen;
  }

  /**
   * Tell whether a frame can be painted at once; if not, decode it, and have it shown then.
   * @param {Frame} frame
   */
  #prepare(frame) {
    if (!frame.picture) return true;
    const look = this.#look(frame);
    if (frame === this.frame && this.painted === look) return true;
    if (decoded().get(frame, look)) return true;
    if (!this.decoding.has(frame)) this.#decode(frame, look);
    return false;
  }

  /**
   * @param {Frame} frame
   * @param {string} look
   */
  async #decode(frame, look) {
    const picture = /** @type {DataView} */ (frame.picture);
    this.decoding.add(frame);
    try {
      const colours = look === frame.colormap ? null : this.model.get("palettes")[look];
      const file = colours ? recoloured(picture, colours) : picture;
      const blob = new Blob([/** @type {any} */ (file)], { type: "image/png" });
      const bitmap = await createImageBitmap(blob);
      if (this.book.frames.get(frame.key) === frame) decoded().put(frame, look, bitmap);
      else bitmap.close(); // it is not wanted any more
    } finally {
      this.decoding.delete(frame);
    }
    this.state.settle();
  }

  /** @param {Frame} frame */
  #paint(frame) {
    const look = this.#look(frame);
    const isNew = frame !== this.frame || look !== this.painted;
    this.frame = frame;
    if (isNew) {
      this.painted = look;
      this.#paintPicture(frame, look);
      this.#showBar(frame, look);
      this.#nameTiles(frame);
    }
    const caption = frame.caption;
    if (caption !== undefined) {
      write(this.words.caption, typeof caption === "string" ? caption : caption.join(look));
    }
    this.#outline();
    if (isNew) requestAnimationFrame(() => this.#decodeNeighbours());
  }

  /**
   * @param {Frame} frame
   * @param {string} look
   */
  #paintPicture(frame, look) {
    const [width, height] = [frame.width ?? 1, frame.height ?? 1];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.#measure();
    const context = this.canvas.getContext("2d");
    const bitmap = decoded().get(frame, look);
    context?.clearRect(0, 0, width, height);
    if (bitmap) context?.drawImage(bitmap, 0, 0);
  }

  /** CSS pixels of one pixel of the picture: never less than one pixel of the screen. */
  get scale() {
    return devicePixelRatio < 1 ? 1 / devicePixelRatio : 1;
  }

  #measure() {
    const [width, height] = this.model.get("pane")
      ? [this.model.get("width"), this.model.get("height")]
      : [this.canvas.width * this.scale, this.canvas.height * this.scale];
    for (const part of [this.canvas, this.room]) {
      part.style.width = `${width}px`;
      part.style.height = `${height}px`;
    }
  }

  #decodeNeighbours() {
    const { keys } = this.state;
    const at = this.frame && this.frame.key !== null ? keys.indexOf(this.frame.key) : -1;
    if (at < 0) return;
    for (let by = 1; by <= AHEAD; by++) {
      for (const key of [keys[at + by], keys[at - by]]) {
        const frame = key === undefined ? undefined : this.book.frames.get(key);
        if (frame) this.#prepare(frame);
      }
    }
  }

  /**
   * @param {Frame} frame
   * @param {string} look
   */
  #showBar(frame, look) {
    if (this.bar.hidden) return;
    const limits = frame.limits ?? [];
    const colours = this.model.get("palettes")[look];
    const strip = /** @type {HTMLCanvasElement} */ (make("canvas", "cvw-strip"));
    if (colours && limits.length) {
      strip.width = colours.byteLength / 3;
      strip.height = 1;
      const pixels = new ImageData(strip.width, 1);
      for (let i = 0; i < strip.width; i++) {
        for (let j = 0; j < 3; j++) pixels.data[4 * i + j] = colours.getUint8(3 * i + j);
        pixels.data[4 * i + 3] = 255;
      }
      strip.getContext("2d")?.putImageData(pixels, 0, 0);
    }
    const words = limits.map((text) => {
      const word = make("span", "");
      word.textContent = text;
      return word;
    });
    // What is said of all tiles together stands after the colours, two limits around them.
    const before = words.length > 1 ? 1 : 0;
    const parts = words.length ? [...words.slice(0, before), strip, ...words.slice(before)] : [];
    this.bar.replaceChildren(...parts);
  }

  // -- tiles --------------------------------------------------------------------------------

  /**
   * Say what the element is: a grid only where there are tiles, for it must not be empty.
   * @param {Frame | null} frame
   */
  #describe(frame) {
    const isGrid = Boolean(this.model.get("tiled") && frame?.grid?.count);
    this.room.setAttribute("role", isGrid ? "grid" : "img");
    this.room.setAttribute("aria-label", frame?.alt || this.model.get("label") || "picture");
  }

  /** @param {Frame} frame */
  #nameTiles(frame) {
    this.#describe(frame);
    if (this.cells.dataset.count !== this.#cellsOf(frame)) this.#buildCells(frame);
    clearTimeout(this.naming);
    const name = () => {
      for (const [tile, cell] of this.#tiles().entries()) {
        cell.setAttribute("aria-label", this.frame?.names?.[tile] ?? `${tile}`);
      }
    };
    this.naming = setTimeout(name, this.cells.dataset.named ? NAMING : 0);
    this.cells.dataset.named = "yes";
  }

  /**
   * How many cells there are to be, and in how many columns.
   * @param {Frame} frame
   */
  #cellsOf(frame) {
    return this.model.get("tiled") && frame.grid ? `${frame.grid.count}/${frame.grid.columns}` : "";
  }

  #tiles() {
    return this.cells.querySelectorAll("[role=gridcell]");
  }

  /** @param {Frame} frame */
  #buildCells(frame) {
    const grid = frame.grid;
    this.cells.dataset.count = this.#cellsOf(frame);
    this.cells.dataset.named = "";
    this.#mark(null); // the cell that was marked is taken away
    if (!grid || !this.model.get("tiled")) {
      this.cells.replaceChildren();
      return;
    }
    const rows = [];
    for (let start = 0; start < grid.count; start += grid.columns) {
      const cells = [];
      for (let tile = start; tile < Math.min(grid.count, start + grid.columns); tile++) {
        cells.push(make("span", "cvw-cell", {
          role: "gridcell", id: `${this.id}-${tile}`, "aria-colindex": String(tile - start + 1),
        }));
      }
      rows.push(make("div", "", { role: "row", "aria-rowindex": String(rows.length + 1) }, cells));
    }
    this.cells.replaceChildren(...rows);
    this.room.setAttribute("aria-rowcount", String(rows.length));
    this.room.setAttribute("aria-colcount", String(grid.columns));
  }

  /** The tile that is selected, as the page knows it. @returns {number | null} */
  get selected() {
    const frame = this.frame;
    const field = this.model.get("field");
    if (!frame?.grid) return null;
    let tile = this.model.get("selected");
    if (field) {
      const value = this.state.value(field);
      const channels = frame.channels;
      tile = channels ? channels.indexOf(/** @type {number} */ (value)) : Number(value);
      if (channels && channels.lastIndexOf(/** @type {number} */ (value)) !== tile) tile = -1;
    } else {
      const claimed = this.state.claims.get(`tile ${this.id}`);
      if (claimed) tile = Number(claimed.value);
    }
    return tile !== null && tile >= 0 && tile < frame.grid.count ? tile : null;
  }

  /**
   * @param {number} tile
   * @returns {[number, number, number, number]}
   */
  #box(tile) {
    const grid = /** @type {Grid} */ (this.frame?.grid);
    const row = Math.floor(tile / grid.columns);
    const column = tile % grid.columns;
    return [
      grid.gap + column * grid.pitch[1], grid.gap + row * grid.pitch[0],
      grid.pitch[1] - grid.gap, grid.pitch[0] - grid.gap,
    ];
  }

  #outline() {
    const selected = this.selected;
    const boxes = selected === null ? [] : [this.#box(selected)];
    for (const box of this.model.get("highlight_boxes") ?? []) boxes.push(box);
    const drawn = JSON.stringify([boxes, this.scale]);
    if (drawn !== this.outlined) {
      this.outlined = drawn;
      this.outlines.replaceChildren(...boxes.map((box) => {
        const outline = make("div", "cvw-outline");
        const [x, y, width, height] = box.map((length) => length * this.scale);
        Object.assign(outline.style, {
          left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px`,
        });
        return outline;
      }));
    }
    if (selected !== this.marked) this.#mark(selected);
    this.#point();
  }

  /** @param {number | null} selected */
  #mark(selected) {
    this.marked = selected;
    this.cells.querySelector("[aria-selected=true]")?.removeAttribute("aria-selected");
    if (selected === null) {
      this.room.removeAttribute("aria-activedescendant");
      return;
    }
    const cell = this.#tiles()[selected];
    cell?.setAttribute("aria-selected", "true");
    cell?.setAttribute("aria-label", this.frame?.names?.[selected] ?? `${selected}`);
    this.room.setAttribute("aria-activedescendant", `${this.id}-${selected}`);
    this.#scrollTo(selected);
  }

  /** @param {number} tile */
  #scrollTo(tile) {
    const [x, y, width, height] = this.#box(tile).map((length) => length * this.scale);
    const view = this.view;
    if (y < view.scrollTop) view.scrollTop = y - 2;
    else if (y + height > view.scrollTop + view.clientHeight) {
      view.scrollTop = y + height + 2 - view.clientHeight;
    }
    if (x < view.scrollLeft) view.scrollLeft = x - 2;
    else if (x + width > view.scrollLeft + view.clientWidth) {
      view.scrollLeft = x + width + 2 - view.clientWidth;
    }
  }

  // -- pointer and keys ---------------------------------------------------------------------

  #listen() {
    if (!this.model.get("listens")) return;
    const room = this.room;
    room.addEventListener("pointermove", (event) => this.#hover(event));
    room.addEventListener("pointerleave", () => this.#leave());
    room.addEventListener("pointerdown", (event) => this.#press(event, "down"));
    room.addEventListener("pointerup", (event) => this.#press(event, "up"));
    room.addEventListener("click", (event) => this.#click(event));
    room.addEventListener("keydown", (event) => this.#key(event));
  }

  /**
   * The pixel of the picture under the pointer.
   * @param {MouseEvent} event
   * @returns {[number, number]}
   */
  #place(event) {
    const box = this.room.getBoundingClientRect();
    return [
      Math.floor((event.clientX - box.left) / this.scale),
      Math.floor((event.clientY - box.top) / this.scale),
    ];
  }

  /**
   * @param {number} x
   * @param {number} y
   * @returns {[number, number, number] | null} tile, and row and column in it
   */
  #pixel(x, y) {
    const grid = this.frame?.grid;
    if (!grid) return null;
    const [row, column] = [
      Math.floor((y - grid.gap) / grid.pitch[0]), Math.floor((x - grid.gap) / grid.pitch[1]),
    ];
    const down = y - grid.gap - row * grid.pitch[0];
    const right = x - grid.gap - column * grid.pitch[1];
    const tile = row * grid.columns + column;
    const inside = down < grid.pitch[0] - grid.gap && right < grid.pitch[1] - grid.gap
      && row >= 0 && column >= 0 && column < grid.columns && tile < grid.count;
    if (!inside) return null;
    return [
      tile, Math.floor(down / grid.enlarge) * grid.reduce,
      Math.floor(right / grid.enlarge) * grid.reduce,
    ];
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    const [x, y] = this.#place(event);
    this.at = [x, y];
    this.hovered = this.#pixel(x, y)?.[0] ?? null;
    this.#point();
    this.#report({ move: [x, y] });
  }

  #leave() {
    this.hovered = null;
    this.at = null;
    this.#point();
    this.#report({ leave: true });
  }

  /** Say what is under the pointer, else what is selected. */
  #point() {
    const frame = this.frame;
    if (!this.words.pointed || !frame || !(frame.names || frame.values || frame.asks)) return;
    if (frame.values || frame.asks) {
      const text = this.at && frame.values ? this.#valueAt(...this.at) : "";
      if (frame.values || !this.at) write(this.words.pointed, text);
      else this.#ask(...this.at);
      return;
    }
    const tile = this.hovered ?? this.selected;
    write(this.words.pointed, tile === null ? "" : frame.names?.[tile] ?? "");
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #ask(x, y) {
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.model.send({ ask: [x, y] }), REST);
  }

  /**
   * Say which value is painted at a pixel, and where in the map it lies.
   * @param {number} x
   * @param {number} y
   */
  #valueAt(x, y) {
    const found = this.#pixel(x, y);
    const frame = this.frame;
    if (!found || !frame?.grid || !frame.values || !frame.shape) return "";
    const [tile, top, left] = found;
    const [, height, width] = frame.shape;
    const [rows, columns] = [[top, frame.grid.size[0], height], [left, frame.grid.size[1], width]]
      .map(([start, size, length]) => places(start, size, length, frame.grid?.reduce ?? 1));
    let [low, high, isNan] = [Infinity, -Infinity, false];
    for (const row of rows) {
      for (const column of columns) {
        const value = frame.values.getFloat32(4 * ((tile * height + row) * width + column), true);
        isNan ||= Number.isNaN(value);
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    const extreme = isNan ? NaN : frame.signed && -low > high ? low : high;
    const kind = rows.length * columns.length > 1 ? "extreme " : "";
    return `${named("row", rows)}, ${named("column", columns)}: ${kind}${inWords(extreme)}`;
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const [x, y] = this.#place(event);
    const tile = this.model.get("tiled") ? this.#pixel(x, y)?.[0] : undefined;
    if (tile !== undefined) this.#pick(tile);
  }

  /**
   * @param {PointerEvent} event
   * @param {string} what
   */
  #press(event, what) {
    if (event.button !== 0) return;
    const [x, y] = this.#place(event);
    if (!this.model.get("tiled")) this.model.send({ [what]: [x, y] });
  }

  /**
   * Tell a kernel that follows the pointer where it is: only the last place is of interest.
   * @param {Record<string, unknown>} what
   */
  #report(what) {
    if (!this.model.get("reports")) return;
    this.model.set("pointer", what);
    this.model.save_changes();
  }

  /** @param {number} tile */
  #pick(tile) {
    const field = this.model.get("field");
    const channels = this.frame?.channels;
    const value = field && channels ? channels[tile] : tile;
    if (value === null || value === undefined) return;
    const order = this.state.claim(field || `tile ${this.id}`, value, this.id, true);
    act(this.model, pageOf().name, order, { pick: tile });
    this.#outline();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      leave(this.room);
      return;
    }
    if (this.model.get("tiled") ? this.#led(event.key) : this.#sent(event.key)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  /**
   * @param {string} key
   * @returns {boolean} whether the key meant something
   */
  #sent(key) {
    if (!key.startsWith("Arrow") && key !== "Home" && key !== "End") return false;
    this.model.send({ key });
    return true;
  }

  /**
   * @param {string} key
   * @returns {boolean} whether the key meant something
   */
  #led(key) {
    const grid = this.frame?.grid;
    if (!grid || !grid.count) return false;
    if (key === "Enter" || key === " ") {
      const here = this.hovered ?? this.selected;
      if (here !== null) this.#pick(here);
      return true;
    }
    const now = this.selected;
    const page = Math.max(1, Math.floor(this.view.clientHeight / (grid.pitch[0] * this.scale)));
    /** @type {Record<string, number>} */
    const moves = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -grid.columns, ArrowDown: grid.columns,
      PageUp: -page * grid.columns, PageDown: page * grid.columns,
      Home: -(now ?? 0), End: grid.count - 1 - (now ?? 0),
    };
    if (!(key in moves)) return false;
    const moved = now === null ? (key === "End" ? grid.count - 1 : 0) : now + moves[key];
    const far = key.startsWith("Page");
    const target = far && now !== null ? within(moved, now, grid) : moved;
    if (target !== now && target >= 0 && target < grid.count) this.#pick(target);
    else if (key.startsWith("Arrow")) this.model.send({ key }); // there may be more elsewhere
    return true;
  }

  // -- what the kernel draws over it --------------------------------------------------------

  #draw() {
    const commands = this.model.get("drawing") ?? [];
    const [width, height] = [this.model.get("width"), this.model.get("height")];
    this.shapes.hidden = !commands.length;
    if (commands.length) drawShapes(this.shapes, commands, width, height);
  }
}

/**
 * Move by pages: as far as there are rows, in the same column.
 * @param {number} moved
 * @param {number} now
 * @param {Grid} grid
 */
function within(moved, now, grid) {
  const column = now % grid.columns;
  const rows = Math.floor((grid.count - 1 - column) / grid.columns);
  const row = Math.min(rows, Math.max(0, Math.floor(moved / grid.columns)));
  return row * grid.columns + column;
}

/**
 * Return which of `length` places in a map some of `size` shown ones stand for, from `start` on.
 * @param {number} start
 * @param {number} size
 * @param {number} length
 * @param {number} reduce
 */
function places(start, size, length, reduce) {
  const found = new Set();
  for (let i = start; i < Math.min(start + reduce, size); i++) {
    found.add(Math.floor((i * length) / size));
  }
  return [...found];
}

/**
 * @param {string} name
 * @param {number[]} found
 */
function named(name, found) {
  return found.length === 1 ? `${name} ${found[0]}` : `${name}s ${found[0]} to ${found.at(-1)}`;
}

/**
 * Give the focus to the control before an element: Tab goes on to the one after it.
 * @param {HTMLElement} element
 */
function leave(element) {
  const view = element.closest(".cvw-view");
  const others = /** @type {HTMLElement[]} */ ([
    ...(view?.querySelectorAll("button, input, select, textarea, [tabindex='0']") ?? []),
  ]).filter((each) => each.offsetParent && !(/** @type {any} */ (each).disabled));
  element.blur();
  others[others.indexOf(element) - 1]?.focus();
}

/** @type {import("./element.js").Render} */
export function renderRaster({ model, el }) {
  hearKernel(model);
  const raster = new Raster(model, el);
  return () => raster.close();
}
