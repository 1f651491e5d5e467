/** How features of a view are drawn on the map. */
import type { LayerSpecification, MapGeoJSONFeature } from 'maplibre-gl';
import { readColour } from './style';

export type OnClick = (properties: Record<string, unknown>, place: [number, number]) => void;

export interface Look {
  kind: 'line' | 'fill' | 'point';
  /** '#hex' or '--css-variable' */
  colour: string;
  width?: number;
  radius?: number;
  opacity?: number;
  dash?: number[];
  /** Lines on a light or dark edge of their own, to stand out from coloured cells. */
  casing?: boolean;
  /** Property whose text is written beside the feature. */
  label?: string;
  /** Colour, and for lines optionally width, by the value of a property. */
  /** Points as rings. */
  hollow?: boolean;
  /** Each feature has its colour in the property `_color`. */
  ownColour?: boolean;
  by?: { property: string; colours: Record<string, string>; widths?: Record<string, number> };
  onclick?: OnClick;
}

/** What was shown: features and look. */
export interface Shown {
  data: GeoJSON.FeatureCollection;
  look: Look;
}

function matchBy(look: Look, values: Record<string, string | number> | undefined, fallback: string | number): unknown {
  if (!look.by || !values || Object.keys(values).length === 0) return fallback;
  const pairs = Object.entries(values).flatMap(([value, shown]) => [value, typeof shown === 'string' ? readColour(shown) : shown]);
  return ['match', ['to-string', ['get', look.by.property]], ...pairs, fallback];
}

/** Lines grow with the map: thinner over a country, thicker near. */
function growWidth(width: unknown): unknown {
  return ['interpolate', ['linear'], ['zoom'], 5, ['*', 0.55, width], 7.5, width, 12, ['*', 2, width]];
}

/** The layers of one set of features: an unseen wide line makes thin lines easy to click. */
export function listLookLayers(key: string, look: Look): LayerSpecification[] {
  const source = `shown-${key}`;
  const plain = readColour(look.colour);
  const colour = look.ownColour ? ['coalesce', ['get', '_color'], plain] : matchBy(look, look.by?.colours, plain);
  const opacity = look.opacity ?? 1;
  const layers: unknown[] = [];
  if (look.kind === 'fill') {
    layers.push({
      id: source, type: 'fill', source, filter: ['==', ['geometry-type'], 'Polygon'],
      paint: { 'fill-color': colour, 'fill-opacity': look.opacity ?? 0.35 },
    });
    layers.push({ id: `${source}-edge`, type: 'line', source, paint: { 'line-color': colour, 'line-width': look.width ?? 1.2 } });
  } else if (look.kind === 'line') {
    const paint: Record<string, unknown> = {
      'line-color': colour, 'line-width': growWidth(matchBy(look, look.by?.widths, look.width ?? 2)), 'line-opacity': opacity,
    };
    if (look.dash) paint['line-dasharray'] = look.dash;
    layers.push({ id: source, type: 'line', source, layout: { 'line-join': 'round', 'line-cap': look.dash ? 'butt' : 'round' }, paint });
    if (look.casing) {
      const wide = (look.width ?? 2) + 3;
      layers.unshift({
        id: `${source}-casing`, type: 'line', source, layout: { 'line-join': 'round', 'line-cap': 'round' },
        paint: { 'line-color': readColour('--map-halo'), 'line-width': growWidth(wide), 'line-opacity': 0.85 },
      });
    }
    if (look.onclick) {
      layers.push({ id: `${source}-wide`, type: 'line', source, paint: { 'line-color': '#000', 'line-opacity': 0, 'line-width': 14 } });
    }
  } else {
    layers.push({
      id: source, type: 'circle', source,
      paint: {
        'circle-color': look.hollow ? readColour('--map-halo') : colour, 'circle-radius': look.radius ?? 5, 'circle-opacity': opacity,
        'circle-stroke-color': look.hollow ? colour : readColour('--map-halo'), 'circle-stroke-width': look.hollow ? 2.5 : 1.5,
      },
    });
  }
  if (look.label) layers.push(listLabel(source, look));
  return layers as LayerSpecification[];
}

function listLabel(source: string, look: Look): unknown {
  const along = {
    'symbol-placement': 'line', 'symbol-spacing': 220, 'text-max-angle': 180, 'text-rotation-alignment': 'viewport',
  };
  const beside = { 'text-variable-anchor': ['left', 'right', 'top', 'bottom'], 'text-radial-offset': 0.7 };
  return {
    id: `${source}-label`, type: 'symbol', source,
    layout: {
      'text-field': ['to-string', ['get', look.label]], 'text-font': ['Noto Sans', 'DejaVu Sans', 'Arial', 'sans-serif'],
      'text-size': 12, 'text-padding': 4, ...(look.kind === 'line' ? along : beside),
    },
    paint: { 'text-color': readColour('--ink'), 'text-halo-color': readColour('--map-halo'), 'text-halo-width': 1.6 },
  };
}

/** Properties of a clicked feature; lists and objects come from the map as text and are read back. */
export function readProperties(feature: MapGeoJSONFeature): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(feature.properties)) {
    if (typeof value === 'string' && /^[[{]/.test(value)) {
      try {
        read[key] = JSON.parse(value);
        continue;
      } catch {
        // a text that only looks like a list stays a text
      }
    }
    read[key] = value;
  }
  return read;
}
