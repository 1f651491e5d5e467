/** What the open view shows on the map, and where the reader wants to look; the frame draws it. */
import type { Feature, FeatureCollection } from './types';

export type Shape = 'line' | 'dash' | 'dot' | 'ring' | 'fill';

export interface ViewLayer {
  key: string;
  caption: string;
  /** name of a colour of the style sheet */
  color: string;
  shape: Shape;
  features: FeatureCollection;
  width?: number;
  opacity?: number;
  /** take the colour of each feature from its property `_color` */
  byColor?: boolean;
}

export interface Focus {
  lon: number;
  lat: number;
  zoom?: number;
  /** differs for each request, so that the same place can be asked for twice */
  stamp: number;
}

class Layers {
  current = $state.raw<ViewLayer[]>([]);
  focus = $state.raw<Focus | null>(null);
}

export const layers = new Layers();

/** Show these layers and no others, the first lowest; a layer without features is left out. */
export function showLayers(shown: ViewLayer[]): void {
  layers.current = shown.filter((one) => one.features.features.length > 0);
}

/** Take all layers of the view off the map. */
export function clearLayers(): void {
  layers.current = [];
}

/** Move the map to a place, in degrees. */
export function lookAt(lon: number, lat: number, zoom = 10): void {
  layers.focus = { lon, lat, zoom, stamp: Date.now() };
}

/** The features that pass a test, all without one; an empty collection where there is none. */
export function pickFeatures(found: FeatureCollection | undefined, test: (one: Feature) => boolean = () => true): FeatureCollection {
  return { type: 'FeatureCollection', features: (found?.features ?? []).filter(test) };
}

/** How a layer of an answer is drawn: key in the answer, caption, name of its colour, shape, width in pixels. */
export type LayerStyle = [key: string, caption: string, color: string, shape: Shape, width?: number];

/** Lay out the features of an answer, lowest first; what has no style of its own is drawn as lines. */
export function styleLayers(found: Record<string, FeatureCollection>, styles: LayerStyle[]): ViewLayer[] {
  const own = styles
    .filter(([key]) => found[key])
    .map(([key, caption, color, shape, width]): ViewLayer => ({
      key, caption, color, shape, width, features: found[key], opacity: shape === 'fill' ? 0.3 : 1,
    }));
  const known = new Set(styles.map(([key]) => key));
  const others = Object.keys(found)
    .filter((key) => !known.has(key))
    .map((key, place): ViewLayer => ({
      key, caption: key.replaceAll('_', ' '), color: `--series-${(place % 8) + 1}`, shape: 'line', features: found[key],
    }));
  return [...others, ...own];
}
