// What the kernel draws over a plot: lines, frames and words, as a list of commands.

/** @typedef {[string, ...any[]]} Command */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Command[]} commands
 * @param {number} width in CSS pixels
 * @param {number} height in CSS pixels
 */
export function drawShapes(canvas, commands, width, height) {
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.scale(ratio, ratio);
  for (const command of commands) drawOne(context, command);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Command} command
 */
function drawOne(context, [kind, colour, thickness, ...at]) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = thickness;
  if (kind === "lines") {
    context.beginPath();
    for (const [x, y] of at[0]) context.lineTo(x, y);
    context.stroke();
  } else if (kind === "rectangle") {
    context.strokeRect(at[0], at[1], at[2], at[3]);
  } else if (kind === "filled") {
    context.fillRect(at[0], at[1], at[2], at[3]);
  } else if (kind === "text") {
    context.font = at[3];
    context.textAlign = at[4];
    context.fillText(at[0], at[1], at[2]);
  }
}
