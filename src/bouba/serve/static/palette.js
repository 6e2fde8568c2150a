// Colours of the map's points, by code: 255 is what has no value.

import { colourOf } from "./theme.js";

const VALUES = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#e08a3c", "#7d8cd9", "#44aa99", "#9a6b4b", "#cc79b0", "#8fae3c"];
const SCALE = ["#3b2f8f", "#31688e", "#21918c", "#5ec962", "#f2d93a"]; // after viridis; its dark end lighter
const MISSING = 255;

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
export const hexOf = (code) => VALUES[code % VALUES.length];
export const scaleColours = SCALE;

/** (256, 4) of red, green, blue and alpha. `only`: the one code that stands out, null for all. */
export function palette(legend, only = null) {
  const colours = new Uint8Array(256 * 4);
  for (let code = 0; code < 256; code++) {
    const faint = code === MISSING || (only !== null && code !== only);
    const colour = faint ? colourOf("--faint") : legend?.kind === "range" ? between(code / 254) : rgb(legend ? hexOf(code) : "#4477aa");
    colours.set([...colour, 255], 4 * code);
  }
  return colours;
}

function between(share) {
  const at = Math.min(share, 1) * (SCALE.length - 1);
  const low = Math.min(Math.floor(at), SCALE.length - 2);
  const [from, to] = [rgb(SCALE[low]), rgb(SCALE[low + 1])];
  return from.map((value, i) => Math.round(value + (to[i] - value) * (at - low)));
}
