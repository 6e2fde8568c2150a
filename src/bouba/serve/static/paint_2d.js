// Points drawn by the processor, pixel by pixel: what is used where WebGL would be computed by the processor anyway.

/** A painter on a canvas of its own, with the methods of that of paint_gl.js. */
export function plainPainter(points) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  let codes = new Uint8Array(points.n);
  let colours = new Uint32Array(256);
  let image, pixels, view;
  return {
    canvas,
    kind: "2d",
    colour(of, palette) {
      codes = of;
      colours = new Uint32Array(palette.buffer.slice(0)); // red, green, blue, alpha in memory, as pixels lie
    },
    begin(wanted) {
      view = wanted;
      if (canvas.width !== view.width || canvas.height !== view.height || !image) {
        [canvas.width, canvas.height] = [view.width, view.height];
        image = context.createImageData(view.width, view.height);
        pixels = new Uint32Array(image.data.buffer);
      }
      pixels.fill(0);
    },
    some(first, count) {
      const { x, y, scale, width, height, size } = view;
      const stamp = disc(Math.max(1, Math.round(size)), width);
      const edge = Math.ceil(size / 2);
      const left = width / 2 - x * scale;
      const top = height / 2 + y * scale;
      for (let i = first; i < first + count; i++) {
        const across = (left + points.x[i] * scale) | 0;
        const down = (top - points.y[i] * scale) | 0;
        if (across < edge || down < edge || across >= width - edge || down >= height - edge) continue;
        const colour = colours[codes[i]];
        const at = down * width + across;
        for (let s = 0; s < stamp.length; s++) pixels[at + stamp[s]] = colour;
      }
    },
    end: () => context.putImageData(image, 0, 0),
  };
}

/** Offsets of the pixels of a disc, in lines of `width` pixels. */
function disc(size, width) {
  const offsets = [];
  const half = (size - 1) / 2;
  for (let down = 0; down < size; down++)
    for (let across = 0; across < size; across++)
      if (size < 4 || (down - half) ** 2 + (across - half) ** 2 <= (size / 2) ** 2)
        offsets.push((down - (size >> 1)) * width + across - (size >> 1));
  return offsets;
}
