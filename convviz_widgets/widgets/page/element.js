// What all elements share: their model in the kernel, other widgets of the page, words.

/**
 * @typedef {{ get(name: string): any, set(name: string, value: any): void, save_changes(): void,
 *             on(event: string, callback: (...args: any[]) => void): void,
 *             off(event: string | null, callback?: ((...args: any[]) => void) | null): void,
 *             send(message: any): void, widget_manager: any }} Model
 *   What anywidget hands to an element.
 */

/**
 * Make an element: returns what `render` gives back to be called when the element is taken away.
 * @typedef {(context: { model: Model, el: HTMLElement }) => () => void} Render
 */

/**
 * Return other widgets of the page; undefined for one that is not there.
 * @param {Model} model
 * @param {string[]} ids
 * @returns {Promise<(any | undefined)[]>}
 */
export function modelsOf(model, ids) {
  const manager = model.widget_manager;
  return Promise.all(
    ids.map(async (id) => {
      try {
        return id ? await manager.get_model(id) : undefined;
      } catch {
        return undefined;
      }
    }),
  );
}

/**
 * Have a widget hear its kernel. anywidget 0.11 gives a module two seconds to load; on a page that
 * is busy for longer it would throw away every message to the widget, although the module came.
 * @param {Model} model
 */
export async function hearKernel(model) {
  const [widget] = await modelsOf(model, [model.get("own_id")]);
  if (!widget) return;
  const kind = Object.getPrototypeOf(Object.getPrototypeOf(widget)); // that of any other widget
  if (!kind?._handle_comm_msg) return;
  widget._handle_comm_msg = kind._handle_comm_msg;
  widget.comm?.on_msg(widget._handle_comm_msg.bind(widget));
}

/**
 * Return what a control of the page has chosen; undefined where it is not listed.
 * @param {any} control
 * @param {unknown[] | null} values those that its places stand for; null: its value is meant
 */
export function chosenOn(control, values) {
  return values === null ? control.get("value") : values[control.get("index")];
}

/**
 * Tell the kernel what the user has done; what was not told yet is overtaken by it.
 * @param {Model} model
 * @param {string} page
 * @param {number} order
 * @param {Record<string, unknown>} what
 */
export function act(model, page, order, what) {
  model.set("act", { page, order, ...what });
  model.save_changes();
}

/**
 * Write text into a widget that shows HTML, on this page alone.
 * @param {any} html
 * @param {string} text
 */
export function write(html, text) {
  const escaped = text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#x27;");
  if (html && html.get("value") !== escaped) html.set("value", escaped);
}

/**
 * Return a number with four digits, as the kernel writes it.
 * @param {number} value
 */
export function inWords(value) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "infinite" : "minus infinite";
  if (value === 0) return "0";
  const [digits, power] = value.toExponential(3).split("e");
  if (Number(power) >= -4 && Number(power) < 4) {
    return String(Number(value.toPrecision(4)));
  }
  const sign = power.startsWith("-") ? "-" : "+";
  return `${String(Number(digits))}e${sign}${power.replace(/^[+-]/, "").padStart(2, "0")}`;
}

/**
 * Make an element with a class, attributes and what stands in it.
 * @param {string} tag
 * @param {string} className
 * @param {Record<string, string>} [attributes]
 * @param {Node[]} [children]
 */
export function make(tag, className, attributes = {}, children = []) {
  const made = document.createElement(tag);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
