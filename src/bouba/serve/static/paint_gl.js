// Points drawn by WebGL.

const VERTEX = `#version 300 es
in vec2 place; in float code;
uniform vec2 centre, half_size; uniform float scale, size;
uniform sampler2D palette;
out vec4 colour;
void main() {
  gl_Position = vec4((place - centre) * scale / half_size, 0.0, 1.0);
  gl_PointSize = size;
  colour = texture(palette, vec2((code + 0.5) / 256.0, 0.5));
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec4 colour; out vec4 painted;
uniform float size;
void main() {
  if (size > 3.0 && distance(gl_PointCoord, vec2(0.5)) > 0.5) discard;
  painted = vec4(colour.rgb * colour.a, colour.a);
}`;

/** A painter on a canvas of its own; null where there is no WebGL that computes on a graphics card. */
export function glPainter(points) {
  const canvas = document.createElement("canvas");
  const gl = canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true, failIfMajorPerformanceCaveat: true });
  const program = gl && linked(gl);
  if (!program) return null;
  gl.useProgram(program);
  const places = new Uint16Array(2 * points.n);
  for (let i = 0; i < points.n; i++) [places[2 * i], places[2 * i + 1]] = [points.x[i], points.y[i]];
  attribute(gl, program, "place", places, 2, gl.UNSIGNED_SHORT);
  const codes = attribute(gl, program, "code", new Uint8Array(points.n), 1, gl.UNSIGNED_BYTE);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  for (const edge of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, edge, gl.NEAREST);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const uniform = (name) => gl.getUniformLocation(program, name);
  return {
    canvas,
    kind: "webgl",
    colour(of, palette) {
      gl.bindBuffer(gl.ARRAY_BUFFER, codes);
      gl.bufferData(gl.ARRAY_BUFFER, of, gl.STATIC_DRAW);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, palette);
    },
    /** Clears, and says where points shall stand. */
    begin({ x, y, scale, width, height, size }) {
      [canvas.width, canvas.height] = [width, height];
      gl.viewport(0, 0, width, height);
      gl.uniform2f(uniform("centre"), x, y);
      gl.uniform2f(uniform("half_size"), width / 2, height / 2);
      gl.uniform1f(uniform("scale"), scale);
      gl.uniform1f(uniform("size"), size);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
    },
    some: (first, count) => gl.drawArrays(gl.POINTS, first, count),
    end() {},
  };
}

function linked(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

function attribute(gl, program, name, values, width, type) {
  const buffer = gl.createBuffer();
  const at = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(at);
  gl.vertexAttribPointer(at, width, type, false, 0, 0);
  return buffer;
}
