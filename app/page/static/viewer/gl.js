// Float32 pixels to the screen by WebGL2: R32F textures read with texelFetch, so that no value is rounded before it is coloured.
// One context draws for all panes; each pane copies the picture into its own canvas.

import { colours } from "./colormaps.js";

/** @typedef {import("./pyramid.js").Tile} Tile */
/** @typedef {import("./pyramid.js").Pyramid} Pyramid */
/** @typedef {{ row: number, column: number, zoom: number, low: number, high: number, map: string }} Look */
/** @typedef {{ first: Pyramid, second?: Pyramid | null, how: "plain" | "wipe" | "difference", wipe?: number }} Shown wipe: share of the width */

const BUDGET = 16 * 2 ** 20; // bytes of textures that are kept; more only of what is drawn now. They are quickly made again of the tiles

const VERTEX = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`;

const FRAGMENT = `#version 300 es
precision highp float; precision highp int; precision highp sampler2D;
uniform sampler2D first, second, map;
uniform vec3 firstAt, secondAt;  // first column and row at the tile's scale, and that scale
uniform vec2 centre, size, levels, image;  // image px; device px; counts; image px
uniform float pace, wipe;  // image px per device px; device px
uniform int how;
out vec4 colour;
float read(sampler2D tile, vec3 at, vec2 place) {
  ivec2 texel = ivec2(floor(place / at.z)) - ivec2(at.xy);
  return texelFetch(tile, clamp(texel, ivec2(0), textureSize(tile, 0) - 1), 0).r;
}
float mean(sampler2D tile, vec3 at, vec2 place) {
  int n = int(clamp(ceil(pace / at.z), 1.0, 4.0));
  float sum = 0.0;
  for (int i = 0; i < n; i++) for (int j = 0; j < n; j++)
    sum += read(tile, at, place + ((vec2(i, j) + 0.5) / float(n) - 0.5) * pace);
  return sum / float(n * n);
}
void main() {
  vec2 at = vec2(gl_FragCoord.x, size.y - gl_FragCoord.y);
  vec2 place = centre + (at - 0.5 * size) * pace;
  if (any(lessThan(place, vec2(0.0))) || any(greaterThanEqual(place, image))) discard;
  float value = how == 1 && at.x >= wipe ? mean(second, secondAt, place) : mean(first, firstAt, place);
  if (how == 2) value -= mean(second, secondAt, place);
  float share = clamp((value - levels.x) / (levels.y - levels.x), 0.0, 1.0);
  colour = vec4(texelFetch(map, ivec2(int(share * 255.0 + 0.5), 0), 0).rgb, 1.0);
}`;

/** Of a texture, whether the tile still has its pixels or not. @param {Tile} tile */
const bytesOf = ({ rows, columns }) => 4 * rows * columns;

export class Renderer {
  /** @returns {Renderer | null} null where there is no WebGL2 */
  static make() {
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, depth: false, preserveDrawingBuffer: true });
    return gl && new Renderer(canvas, gl);
  }

  /** @param {HTMLCanvasElement} canvas @param {WebGL2RenderingContext} gl */
  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    this.lost = false;
    /** @type {() => void} */
    this.restored = () => {};
    this.held = 0; // bytes of textures
    /** @type {Map<Tile, WebGLTexture>} least recently used first */
    this.textures = new Map();
    canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); this.lost = true; });
    canvas.addEventListener("webglcontextrestored", () => { this.prepare(); this.lost = false; this.restored(); });
    this.prepare();
  }

  prepare() {
    const { gl } = this;
    this.held = 0;
    this.textures.clear();
    /** @type {Record<string, WebGLTexture>} */
    this.maps = {};
    this.program = this.link();
    /** @type {Record<string, WebGLUniformLocation | null>} */
    this.at = {};
    for (const name of ["first", "second", "map", "firstAt", "secondAt", "centre", "size", "levels", "image", "pace", "wipe", "how"]) this.at[name] = gl.getUniformLocation(this.program, name);
    gl.useProgram(this.program);
    gl.bindVertexArray(gl.createVertexArray());
    ["first", "second", "map"].forEach((name, unit) => gl.uniform1i(this.at[name], unit));
  }

  link() {
    const { gl } = this;
    const program = /** @type {WebGLProgram} */ (gl.createProgram());
    for (const [kind, source] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
      const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(`the shader does not link: ${gl.getProgramInfoLog(program)}`);
    return program;
  }

  /** Draw into a pane's canvas; false while nothing of the image is there. @param {HTMLCanvasElement} target @param {Shown} shown @param {Look} look @param {number} density device px per CSS px */
  draw(target, shown, look, density) {
    const { gl, canvas } = this;
    if (this.lost) return false;
    const [width, height] = [target.width, target.height];
    if (canvas.width < width || canvas.height < height) Object.assign(canvas, { width: Math.max(width, canvas.width), height: Math.max(height, canvas.height) });
    const pace = 1 / (look.zoom * density);
    gl.viewport(0, 0, width, height);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    gl.uniform2f(this.at.centre, look.column, look.row);
    gl.uniform2f(this.at.size, width, height);
    gl.uniform2f(this.at.levels, look.low, look.high > look.low ? look.high : look.low + 1e-12);
    gl.uniform2f(this.at.image, shown.first.shape[1], shown.first.shape[0]);
    gl.uniform1f(this.at.pace, pace);
    gl.uniform1f(this.at.wipe, (shown.wipe ?? 0) * width);
    gl.uniform1i(this.at.how, shown.second ? { plain: 0, wipe: 1, difference: 2 }[shown.how] : 0);
    this.useMap(look.map);
    const drawn = this.drawTiles(shown, look, pace, width, height);
    const context = /** @type {CanvasRenderingContext2D} */ (target.getContext("2d"));
    context.clearRect(0, 0, width, height);
    context.drawImage(canvas, 0, canvas.height - height, width, height, 0, 0, width, height);
    return drawn;
  }

  /** @param {Shown} shown @param {Look} look @param {number} pace @param {number} width @param {number} height */
  drawTiles({ first, second }, look, pace, width, height) {
    const { gl } = this;
    const level = Math.max(0, Math.min(first.levels - 1, Math.floor(Math.log2(pace))));
    const span = first.side * 2 ** level; // image px
    const left = look.column - (width / 2) * pace;
    const top = look.row - (height / 2) * pace;
    const [rows, columns] = first.shape;
    let drawn = false;
    for (let down = Math.max(0, Math.floor(top / span)); down * span < Math.min(rows, top + height * pace); down++) {
      for (let across = Math.max(0, Math.floor(left / span)); across * span < Math.min(columns, left + width * pace); across++) {
        const tile = first.best(level, down, across);
        const other = second ? second.best(level, down, across) : tile;
        if (!tile || !other) continue;
        drawn = true;
        this.bind(0, "firstAt", tile);
        this.bind(1, "secondAt", other);
        const x = Math.floor((across * span - left) / pace);
        const y = Math.floor((down * span - top) / pace);
        const right = Math.ceil(((across + 1) * span - left) / pace);
        const bottom = Math.ceil(((down + 1) * span - top) / pace);
        gl.scissor(x, height - bottom, right - x, bottom - y);
        gl.drawArrays(gl.TRIANGLES, 0, 3);
      }
    }
    return drawn;
  }

  /** @param {number} unit @param {string} where @param {Tile} tile */
  bind(unit, where, tile) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, this.texture(tile));
    gl.uniform3f(this.at[where], tile.column, tile.row, tile.reduce);
  }

  /** @param {Tile} tile */
  texture(tile) {
    const { gl, textures } = this;
    let texture = textures.get(tile);
    if (texture) textures.delete(tile);
    else {
      texture = /** @type {WebGLTexture} */ (gl.createTexture());
      gl.bindTexture(gl.TEXTURE_2D, texture);
      this.nearest();
      gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R32F, tile.columns, tile.rows); // one level, allocated once
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, tile.columns, tile.rows, gl.RED, gl.FLOAT, tile.pixels);
      this.held += bytesOf(tile);
      for (const [old, oldest] of textures) {
        if (this.held <= BUDGET || old.used >= tile.used) break;
        gl.deleteTexture(oldest);
        textures.delete(old);
        this.held -= bytesOf(old);
      }
    }
    textures.set(tile, texture);
    return texture;
  }

  /** @param {string} name */
  useMap(name) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE2);
    if (this.maps[name]) return gl.bindTexture(gl.TEXTURE_2D, this.maps[name]);
    this.maps[name] = /** @type {WebGLTexture} */ (gl.createTexture());
    gl.bindTexture(gl.TEXTURE_2D, this.maps[name]);
    this.nearest();
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(colours(name)));
  }

  nearest() {
    const { gl } = this;
    for (const [name, value] of [[gl.TEXTURE_MIN_FILTER, gl.NEAREST], [gl.TEXTURE_MAG_FILTER, gl.NEAREST], [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE]]) gl.texParameteri(gl.TEXTURE_2D, name, value);
  }
}
