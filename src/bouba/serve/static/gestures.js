// Mouse, fingers and keys on the map.

const TAP = 5; // pixels that a click may move
const STRIDE = 80; // pixels an arrow key

/** @param on move, closer, reset, hover, click, draw, drawn, and lassoing(): whether an outline is drawn. */
export function gestures(frame, on) {
  const fingers = new Map(); // pointer -> where it is
  let travelled = 0;
  let corners = null; // of an outline that is being drawn
  const at = (event) => {
    const box = frame.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const ours = (event) => !event.target.closest(".map-buttons");

  frame.addEventListener("pointerdown", (event) => {
    if (!ours(event) || event.button > 0) return;
    frame.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    travelled = 0;
    corners = fingers.size === 1 && (on.lassoing() || event.shiftKey) ? [at(event)] : null;
  });
  frame.addEventListener("pointermove", (event) => {
    const to = at(event);
    const from = fingers.get(event.pointerId);
    if (!from) return ours(event) && event.pointerType === "mouse" && on.hover(...to);
    fingers.set(event.pointerId, to);
    travelled += Math.hypot(to[0] - from[0], to[1] - from[1]);
    if (corners) {
      corners.push(to);
      on.draw(corners);
    } else if (fingers.size === 2) pinch(event.pointerId, from, to);
    else on.move(to[0] - from[0], to[1] - from[1]);
  });
  frame.addEventListener("pointerup", (event) => {
    const single = fingers.size === 1;
    if (!fingers.delete(event.pointerId)) return;
    if (corners) on.drawn(corners);
    else if (single && travelled < TAP) on.click(...at(event));
    corners = null;
  });
  frame.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    corners = null;
  });
  frame.addEventListener("wheel", (event) => {
    event.preventDefault();
    on.closer(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...at(event));
  }, { passive: false });
  frame.addEventListener("keydown", (event) => {
    const [right, down] = { ArrowLeft: [STRIDE, 0], ArrowRight: [-STRIDE, 0], ArrowUp: [0, STRIDE], ArrowDown: [0, -STRIDE] }[event.key] ?? [0, 0];
    if (right || down) on.move(right, down);
    else if (event.key === "+" || event.key === "=") on.closer(1.3);
    else if (event.key === "-") on.closer(1 / 1.3);
    else if (event.key === "0") on.reset();
    else if (event.key === "Enter" && event.target === frame) on.click(frame.clientWidth / 2, frame.clientHeight / 2);
    else return;
    event.preventDefault();
  });

  /** Two fingers: closer as they part, and along as both move. */
  function pinch(mover, from, to) {
    const [, other] = [...fingers].find(([pointer]) => pointer !== mover);
    const before = Math.hypot(from[0] - other[0], from[1] - other[1]);
    const after = Math.hypot(to[0] - other[0], to[1] - other[1]);
    on.move((to[0] - from[0]) / 2, (to[1] - from[1]) / 2);
    on.closer(after / Math.max(before, 1), (to[0] + other[0]) / 2, (to[1] + other[1]) / 2);
  }
}
