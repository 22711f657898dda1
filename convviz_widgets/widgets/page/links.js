// Controls of the page that select something: what is chosen there holds before the kernel says so.
import { chosenOn, hearKernel, modelsOf } from "./element.js";
import { pageOf } from "./store.js";

/** @typedef {import("./element.js").Model} Model */

/**
 * @param {Model} model
 * @param {import("./store.js").PageState} state
 * @param {AbortSignal} signal
 */
async function listen(model, state, signal) {
  const links = /** @type {[string, string, unknown[] | null][]} */ (model.get("links"));
  const controls = await modelsOf(model, links.map(([id]) => id));
  if (signal.aborted) return;
  for (const [at, [id, field, values]] of links.entries()) {
    const control = controls[at];
    if (!control) continue;
    const changed = (/** @type {any[]} */ ...[, , how]) => {
      // A user's choice comes with the view that it was made in; the kernel's does not.
      const chosen = chosenOn(control, values);
      if (how?.updated_view && chosen !== undefined) state.claim(field, chosen, id, false);
      else state.withdraw(field, id);
    };
    const event = values === null ? "change:value" : "change:index";
    control.on(event, changed);
    signal.addEventListener("abort", () => control.off(event, changed));
  }
}

/** @type {import("./element.js").Render} */
export function renderLinks({ model, el }) {
  hearKernel(model);
  el.hidden = true;
  const state = pageOf().state(model.get("state_id"));
  const follower = { counts: () => false, has: () => true, show: () => {} };
  state.followers.add(follower); // as long as it is here, the state is
  let stop = new AbortController();
  const again = () => {
    stop.abort();
    stop = new AbortController();
    listen(model, state, stop.signal);
  };
  model.on("change:links", again);
  again();
  return () => {
    stop.abort();
    state.leave(follower);
  };
}
