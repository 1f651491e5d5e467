/**
 * All cells of the mesh as one layer of the map.
 *
 * Far away the cells are smaller than pixels: a picture whose points hold their cell is drawn instead of the
 * outlines. Near, the outlines themselves are drawn, in chunks, and only the chunks in sight. Both look the value of
 * a cell up while drawing, so that new values are one small upload.
 */
import type { CustomLayerInterface, CustomRenderMethodInput, Map as MapLibreMap } from 'maplibre-gl';
import type { Cells } from '../mesh/cells.svelte';
import { CORNERS } from '../mesh/corners';
import type { Scale } from './scales';
import { buildProgram, makeTexture } from './webgl';

const CHUNK = 4096;
const VALUES_WIDTH = 1024;
const INDICES = [0, 1, 2, 0, 2, 3, 0, 3, 4, 0, 4, 5];

const CELL_VERTEX = `#version 300 es
in vec2 corner;
uniform mat4 matrix;
uniform highp sampler2D values;
flat out float value;
void main() {
  int cell = gl_VertexID / ${CORNERS};
  value = texelFetch(values, ivec2(cell % ${VALUES_WIDTH}, cell / ${VALUES_WIDTH}), 0).r;
  gl_Position = matrix * vec4(corner, 0.0, 1.0);
}`;

const CELL_FRAGMENT = `#version 300 es
precision highp float;
flat in float value;
uniform sampler2D ramp;
uniform vec2 range;
uniform vec4 never;
uniform float opacity;
out vec4 colour;
void main() {
  vec4 shown;
  if (value < -1.0e30) discard;
  if (value > 1.0e30) shown = never;
  else shown = texture(ramp, vec2(clamp((value - range.x) / (range.y - range.x), 0.002, 0.998), 0.5));
  float alpha = shown.a * opacity;
  colour = vec4(shown.rgb * alpha, alpha);
}`;

const PICTURE_VERTEX = `#version 300 es
in vec2 corner;
uniform mat4 matrix;
uniform vec4 extent;
out vec2 place;
void main() {
  place = corner;
  gl_Position = matrix * vec4(mix(extent.xy, extent.zw, corner), 0.0, 1.0);
}`;

// Four samples within a pixel of the screen smooth the edges of cells.
const PICTURE_FRAGMENT = `#version 300 es
precision highp float;
precision highp usampler2D;
in vec2 place;
uniform usampler2D picture;
uniform highp sampler2D values;
uniform sampler2D ramp;
uniform vec2 range;
uniform vec4 never;
uniform float opacity;
out vec4 colour;
vec4 look(vec2 at) {
  ivec2 size = textureSize(picture, 0);
  ivec2 spot = ivec2(floor(at * vec2(size)));
  if (spot.x < 0 || spot.y < 0 || spot.x >= size.x || spot.y >= size.y) return vec4(0.0);
  int cell = int(texelFetch(picture, spot, 0).r) - 1;
  if (cell < 0) return vec4(0.0);
  float value = texelFetch(values, ivec2(cell % ${VALUES_WIDTH}, cell / ${VALUES_WIDTH}), 0).r;
  if (value < -1.0e30) return vec4(0.0);
  vec4 shown = never;
  if (value < 1.0e30) shown = texture(ramp, vec2(clamp((value - range.x) / (range.y - range.x), 0.002, 0.998), 0.5));
  return vec4(shown.rgb * shown.a, shown.a);
}
void main() {
  vec2 right = dFdx(place) * 0.25;
  vec2 down = dFdy(place) * 0.25;
  vec4 sum = look(place - right - down) + look(place + right - down) + look(place - right + down) + look(place + right + down);
  colour = sum * 0.25 * opacity;
}`;

interface Drawing {
  gl: WebGL2RenderingContext;
  cellProgram: WebGLProgram;
  pictureProgram: WebGLProgram;
  /** Made when the map is first seen near: until then the picture is enough. */
  cellArray: WebGLVertexArrayObject | null;
  pictureArray: WebGLVertexArrayObject;
  valuesTexture: WebGLTexture;
  rampTexture: WebGLTexture;
  pictureTexture: WebGLTexture;
}

type Extent = [number, number, number, number];

export class HexagonLayer implements CustomLayerInterface {
  readonly id = 'hexagons';
  readonly type = 'custom' as const;
  readonly renderingMode = '2d' as const;
  opacity = 0.82;
  /** Called after a frame that shows the cells. */
  onpainted: (() => void) | null = null;

  private readonly cells: Cells;
  private readonly chunks: Extent[];
  private map: MapLibreMap | null = null;
  private drawing: Drawing | null = null;
  private values: Float32Array | null = null;
  private scale: Scale | null = null;
  private valuesStale = false;
  private valuesNew = true;

  constructor(cells: Cells) {
    this.cells = cells;
    this.chunks = boundChunks(cells);
  }

  /** Show one value per cell (NaN: not drawn; infinity: the colour of never), or nothing. */
  setValues(values: Float32Array | null, scale: Scale | null): void {
    this.values = values;
    this.scale = scale;
    this.valuesStale = true;
    this.valuesNew = true;
    this.map?.triggerRepaint();
  }

  onAdd(map: MapLibreMap, context: WebGLRenderingContext | WebGL2RenderingContext): void {
    this.map = map;
    this.drawing = prepareDrawing(context as WebGL2RenderingContext, this.cells);
    this.valuesStale = true;
  }

  onRemove(): void {
    this.drawing = null;
    this.map = null;
  }

  render(_context: WebGLRenderingContext | WebGL2RenderingContext, input: CustomRenderMethodInput): void {
    const { drawing } = this;
    if (!drawing || !this.values || !this.scale) return;
    if (this.valuesStale) this.sendValues(drawing);
    const matrix = shiftMatrix(input.defaultProjectionData.mainMatrix, this.cells.outlines.origin);
    drawing.gl.enable(drawing.gl.BLEND);
    drawing.gl.blendFunc(drawing.gl.ONE, drawing.gl.ONE_MINUS_SRC_ALPHA);
    if (this.isFar()) this.drawPicture(drawing, matrix);
    else this.drawCells(drawing, matrix, this.findChunks());
    drawing.gl.bindVertexArray(null);
    if (this.valuesNew) {
      // Reading a pixel waits until the cells are really drawn.
      drawing.gl.readPixels(0, 0, 1, 1, drawing.gl.RGBA, drawing.gl.UNSIGNED_BYTE, new Uint8Array(4));
      this.valuesNew = false;
    }
    this.onpainted?.();
  }

  /** Is a pixel of the screen at least as large as one of the picture? */
  private isFar(): boolean {
    if (!this.map) return false;
    const [west, , east] = this.cells.outlines.extent;
    const worldPixels = 512 * 2 ** this.map.getZoom() * this.map.getPixelRatio();
    return (east - west) * worldPixels <= this.cells.outlines.picture.width * 1.15;
  }

  private sendValues(drawing: Drawing): void {
    const { gl } = drawing;
    const rows = Math.ceil(this.cells.count / VALUES_WIDTH);
    const padded = new Float32Array(rows * VALUES_WIDTH).fill(-3e38);
    const values = this.values!;
    for (let cell = 0; cell < values.length; cell++) {
      const value = values[cell];
      padded[cell] = Number.isNaN(value) ? -3e38 : Math.min(value, 3e38);
    }
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.bindTexture(gl.TEXTURE_2D, drawing.valuesTexture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, VALUES_WIDTH, rows, 0, gl.RED, gl.FLOAT, padded);
    gl.bindTexture(gl.TEXTURE_2D, drawing.rampTexture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, this.scale!.ramp);
    gl.bindTexture(gl.TEXTURE_2D, null);
    this.valuesStale = false;
  }

  private drawCells(drawing: Drawing, matrix: Float32Array, spans: [number, number][]): void {
    const { gl } = drawing;
    drawing.cellArray ??= makeArray(gl, drawing.cellProgram, this.cells.outlines.corners, makeIndices(this.cells.count));
    this.useProgram(drawing, drawing.cellProgram, matrix);
    gl.bindVertexArray(drawing.cellArray);
    for (const [first, last] of spans) {
      gl.drawElements(gl.TRIANGLES, (last - first) * INDICES.length, gl.UNSIGNED_INT, first * INDICES.length * 4);
    }
  }

  private drawPicture(drawing: Drawing, matrix: Float32Array): void {
    const { gl, pictureProgram } = drawing;
    this.useProgram(drawing, pictureProgram, matrix);
    gl.uniform4fv(gl.getUniformLocation(pictureProgram, 'extent'), findPictureExtent(this.cells));
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D, drawing.pictureTexture);
    gl.uniform1i(gl.getUniformLocation(pictureProgram, 'picture'), 2);
    gl.bindVertexArray(drawing.pictureArray);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    gl.activeTexture(gl.TEXTURE0);
  }

  /** What both ways of drawing share: matrix, values and colours. */
  private useProgram(drawing: Drawing, program: WebGLProgram, matrix: Float32Array): void {
    const { gl } = drawing;
    gl.useProgram(program);
    gl.uniformMatrix4fv(gl.getUniformLocation(program, 'matrix'), false, matrix);
    gl.uniform1f(gl.getUniformLocation(program, 'opacity'), this.opacity);
    gl.uniform2f(gl.getUniformLocation(program, 'range'), this.scale!.low, this.scale!.high);
    gl.uniform4fv(gl.getUniformLocation(program, 'never'), this.scale!.never);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, drawing.rampTexture);
    gl.uniform1i(gl.getUniformLocation(program, 'ramp'), 1);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, drawing.valuesTexture);
    gl.uniform1i(gl.getUniformLocation(program, 'values'), 0);
  }

  /** Spans of cells in sight, neighbouring chunks joined. */
  private findChunks(): [number, number][] {
    const bounds = this.map!.getBounds();
    const [x, y] = this.cells.outlines.origin;
    const west = bounds.getWest() / 360 + 0.5 - x;
    const east = bounds.getEast() / 360 + 0.5 - x;
    const north = projectLatitude(bounds.getNorth()) - y;
    const south = projectLatitude(bounds.getSouth()) - y;
    const spans: [number, number][] = [];
    this.chunks.forEach(([chunkWest, chunkNorth, chunkEast, chunkSouth], place) => {
      if (chunkWest > east || chunkEast < west || chunkNorth > south || chunkSouth < north) return;
      const first = place * CHUNK;
      const last = Math.min(first + CHUNK, this.cells.count);
      const before = spans[spans.length - 1];
      if (before && before[1] === first) before[1] = last;
      else spans.push([first, last]);
    });
    return spans;
  }
}

/** The picture's own extent: whole points, so a little more than the cells. */
function findPictureExtent(cells: Cells): Extent {
  const { extent, picture } = cells.outlines;
  const [west, north] = extent;
  return [west, north, west + picture.width * picture.point, north + picture.height * picture.point];
}

function projectLatitude(lat: number): number {
  const sine = Math.sin((lat * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

function boundChunks(cells: Cells): Extent[] {
  const { corners } = cells.outlines;
  const chunks: Extent[] = [];
  for (let first = 0; first < cells.count; first += CHUNK) {
    const last = Math.min(first + CHUNK, cells.count);
    const box: Extent = [Infinity, Infinity, -Infinity, -Infinity];
    for (let at = first * CORNERS * 2; at < last * CORNERS * 2; at += 2) {
      box[0] = Math.min(box[0], corners[at]);
      box[1] = Math.min(box[1], corners[at + 1]);
      box[2] = Math.max(box[2], corners[at]);
      box[3] = Math.max(box[3], corners[at + 1]);
    }
    chunks.push(box);
  }
  return chunks;
}

/** The map's matrix for points given from an origin, worked out in double precision. */
function shiftMatrix(matrix: ArrayLike<number>, [x, y]: [number, number]): Float32Array {
  const shifted = Float32Array.from(matrix);
  for (let row = 0; row < 4; row++) shifted[12 + row] = matrix[row] * x + matrix[4 + row] * y + matrix[12 + row];
  return shifted;
}

function prepareDrawing(gl: WebGL2RenderingContext, cells: Cells): Drawing {
  const cellProgram = buildProgram(gl, CELL_VERTEX, CELL_FRAGMENT);
  const pictureProgram = buildProgram(gl, PICTURE_VERTEX, PICTURE_FRAGMENT);
  const { picture } = cells.outlines;
  const pictureTexture = makeTexture(gl, gl.NEAREST, gl.NEAREST);
  gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.texImage2D(
    gl.TEXTURE_2D, 0, gl.R32UI, picture.width, picture.height, 0, gl.RED_INTEGER, gl.UNSIGNED_INT, picture.cells,
  );
  const drawing: Drawing = {
    gl,
    cellProgram,
    pictureProgram,
    cellArray: null,
    pictureArray: makeArray(gl, pictureProgram, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), null),
    valuesTexture: makeTexture(gl, gl.NEAREST, gl.NEAREST),
    rampTexture: makeTexture(gl, gl.NEAREST, gl.NEAREST),
    pictureTexture,
  };
  gl.bindTexture(gl.TEXTURE_2D, null);
  return drawing;
}

function makeIndices(count: number): Uint32Array {
  const indices = new Uint32Array(count * INDICES.length);
  for (let cell = 0, at = 0; cell < count; cell++) {
    for (const index of INDICES) indices[at++] = cell * CORNERS + index;
  }
  return indices;
}

function makeArray(
  gl: WebGL2RenderingContext, program: WebGLProgram, corners: Float32Array, indices: Uint32Array | null,
): WebGLVertexArrayObject {
  const array = gl.createVertexArray()!;
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, corners, gl.STATIC_DRAW);
  const place = gl.getAttribLocation(program, 'corner');
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, 2, gl.FLOAT, false, 0, 0);
  if (indices) {
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
  }
  gl.bindVertexArray(null);
  return array;
}
