/** Colours of values: viridis in steps (its lightness alone orders it), and a set of colours for classes. */

export interface Step {
  colour: string;
  label: string;
}

export interface Scale {
  low: number;
  high: number;
  /** 256 colours, four bytes each. */
  ramp: Uint8Array;
  /** Colour of cells that are never reached: red, green, blue, alpha from 0 to 1. */
  never: [number, number, number, number];
  steps: Step[];
}

// Viridis (matplotlib, CC0) at ten places; near is bright, far is dark.
const VIRIDIS = [
  [253, 231, 37], [181, 222, 43], [110, 206, 88], [53, 183, 121], [31, 158, 137],
  [38, 130, 142], [49, 104, 142], [62, 74, 137], [72, 40, 120], [68, 1, 84],
];
// Land cover as maps are used to show it; forests differ by lightness.
const COVER: Record<string, number[]> = {
  cropland: [233, 213, 152], grass: [186, 210, 128], shrub: [158, 168, 92], open_forest: [112, 165, 100],
  dense_forest: [48, 104, 66], wetland: [132, 160, 164], built_up: [168, 112, 108], bare: [205, 196, 186], water: [106, 158, 200],
};
// Okabe and Ito's colours, made softer for large areas, for classes that have no order.
const CLASSES = [
  [222, 184, 92], [86, 150, 108], [74, 144, 190], [196, 122, 160], [150, 150, 150], [214, 140, 90],
  [60, 110, 90], [130, 190, 220], [180, 170, 120], [110, 100, 150], [200, 200, 190], [160, 90, 80],
];

function pick(share: number): number[] {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const first = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[first].map((part, at) => Math.round(part + (VIRIDIS[first + 1][at] - part) * (place - first)));
}

function writeColour(colour: number[]): string {
  return `#${colour.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}

function fillRamp(colourAt: (share: number) => number[]): Uint8Array {
  const ramp = new Uint8Array(256 * 4);
  for (let place = 0; place < 256; place++) ramp.set([...colourAt((place + 0.5) / 256), 255], place * 4);
  return ramp;
}

/** Round steps that cover 0 to the largest value in about eight classes. */
export function chooseStep(largest: number): number {
  const rough = Math.max(largest, 0.1) / 8;
  const size = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((times) => times * size).find((step) => step >= rough * 0.999) ?? size * 10;
}

/** Hours in equal steps from 0; what is never reached is a neutral grey. */
export function scaleHours(largest: number, dark: boolean, write: (hours: number) => string, never: string): Scale {
  const step = chooseStep(largest);
  const count = Math.max(1, Math.ceil(largest / step - 1e-6));
  const colourOf = (place: number) => pick(count === 1 ? 0.5 : place / (count - 1));
  const grey = dark ? [70, 76, 82] : [188, 190, 188];
  const steps = Array.from({ length: count }, (_, place) => ({
    colour: writeColour(colourOf(place)),
    label: `${write(place * step)}–${write((place + 1) * step)}`,
  }));
  return {
    low: 0,
    high: count * step,
    ramp: fillRamp((share) => colourOf(Math.min(count - 1, Math.floor(share * count)))),
    never: [grey[0] / 255, grey[1] / 255, grey[2] / 255, 0.45],
    steps: [...steps, { colour: writeColour(grey), label: never }],
  };
}

/** One colour per class, in the order of their numbers. */
export function scaleClasses(words: string[], names: string[]): Scale {
  const count = Math.max(names.length, 1);
  const colourOf = (place: number) => COVER[words[place]] ?? CLASSES[place % CLASSES.length];
  return {
    low: -0.5,
    high: count - 0.5,
    ramp: fillRamp((share) => colourOf(Math.min(count - 1, Math.floor(share * count)))),
    never: [0, 0, 0, 0],
    steps: names.map((name, place) => ({ colour: writeColour(colourOf(place)), label: name })),
  };
}

/** The value below which a share of the finite values lies; a few far cells must not flatten the scale. */
export function findQuantile(values: Float32Array, share: number): number {
  const finite = values.filter((value) => Number.isFinite(value));
  if (finite.length === 0) return 1;
  finite.sort();
  return finite[Math.min(finite.length - 1, Math.floor(share * finite.length))];
}
