// The points of the map, and which of them lie near a place or inside an outline. A grid of 256 x 256 squares holds
// them, so that a million are looked through at once.

const SQUARES = 256;

/** @param buffer a point each 8 bytes, little endian: uint32 row, uint16 x, uint16 y. */
export function decoded(buffer) {
  const words = new Uint32Array(buffer);
  const n = words.length >> 1;
  const points = { n, row: new Uint32Array(n), x: new Uint16Array(n), y: new Uint16Array(n) };
  for (let i = 0; i < n; i++) {
    points.row[i] = words[2 * i];
    points.x[i] = words[2 * i + 1] & 0xffff;
    points.y[i] = words[2 * i + 1] >>> 16;
  }
  return { ...points, ...gridOf(points) };
}

/** Points ordered by square (a counting sort): those of square s are order[starts[s]] to order[starts[s + 1] - 1]. */
function gridOf({ n, x, y }) {
  const starts = new Uint32Array(SQUARES * SQUARES + 1);
  for (let i = 0; i < n; i++) starts[squareOf(x[i], y[i]) + 1]++;
  for (let s = 0; s < SQUARES * SQUARES; s++) starts[s + 1] += starts[s];
  const next = starts.slice();
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[next[squareOf(x[i], y[i])]++] = i;
  return { starts, order };
}

const squareOf = (x, y) => ((y >> 8) << 8) | (x >> 8);
const square = (at) => Math.max(0, Math.min(SQUARES - 1, Math.floor(at / 256)));

/** Calls `visit` with each point of the squares that a rectangle touches. */
function within(points, left, top, right, bottom, visit) {
  for (let down = square(top); down <= square(bottom); down++) {
    const first = points.starts[(down << 8) | square(left)];
    const end = points.starts[((down << 8) | square(right)) + 1];
    for (let at = first; at < end; at++) visit(points.order[at]);
  }
}

/** The point nearest to a place, not farther than `reach`; -1 for none. */
export function nearest(points, x, y, reach) {
  let best = -1;
  let least = reach * reach;
  within(points, x - reach, y - reach, x + reach, y + reach, (i) => {
    const far = (points.x[i] - x) ** 2 + (points.y[i] - y) ** 2;
    if (far <= least) [best, least] = [i, far];
  });
  return best;
}

/** Points inside an outline [x, y, x, y, ...]; a point is inside where a ray from it crosses the outline oddly often. */
export function inside(points, outline) {
  const xs = outline.filter((_, i) => i % 2 === 0);
  const ys = outline.filter((_, i) => i % 2 === 1);
  const found = [];
  within(points, Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), (i) => {
    if (crossings(xs, ys, points.x[i], points.y[i]) % 2) found.push(i);
  });
  return found;
}

function crossings(xs, ys, x, y) {
  let count = 0;
  for (let i = 0, j = xs.length - 1; i < xs.length; j = i++)
    if (ys[i] > y !== ys[j] > y && x < ((xs[j] - xs[i]) * (y - ys[i])) / (ys[j] - ys[i]) + xs[i]) count++;
  return count;
}
