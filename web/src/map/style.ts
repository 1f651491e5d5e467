/** The base map: the study's own land, water, borders, roads and towns; letters are drawn by the browser itself. */
import type { LayerSpecification, StyleSpecification } from 'maplibre-gl';
import type { BaseAnswer } from '../api/answers';

const FONTS = ['Noto Sans', 'DejaVu Sans', 'Arial', 'sans-serif'];
export const SOURCES = ['land', 'water', 'rivers', 'borders', 'roads', 'forests', 'places'] as const;

/** Colour of a CSS variable now, or the colour itself. */
export function readColour(colour: string): string {
  if (!colour.startsWith('--')) return colour;
  return getComputedStyle(document.documentElement).getPropertyValue(colour).trim() || '#888888';
}

/** Layers of the study lie between the ground and the names. */
export const BELOW_NAMES = 'borders-casing';
export const BELOW_ROADS = 'rivers';
export const BELOW_LABELS = 'places-hamlet';

function listLayers(schematic: boolean): LayerSpecification[] {
  const c = readColour;
  const place = (id: string, low: number, high: number, zoom: number, size: number): LayerSpecification => ({
    id, type: 'symbol', source: 'places', minzoom: zoom,
    filter: ['all', ['>=', ['to-number', ['get', 'population'], 0], low], ['<', ['to-number', ['get', 'population'], 0], high]],
    layout: {
      'text-field': ['get', 'name'], 'text-font': FONTS, 'text-size': size, 'text-padding': 6, 'text-max-width': 8,
      'text-variable-anchor': ['left', 'right', 'top', 'bottom'], 'text-radial-offset': 0.5, 'text-justify': 'auto',
      'symbol-sort-key': ['-', 0, ['to-number', ['get', 'population'], 0]],
    },
    paint: { 'text-color': c('--map-label'), 'text-halo-color': c('--map-halo'), 'text-halo-width': 1.4 },
  });
  return [
    { id: 'outside', type: 'background', paint: { 'background-color': c(schematic ? '--map-outside' : '--map-water') } },
    { id: 'land', type: 'fill', source: 'land', paint: { 'fill-color': c('--map-land'), 'fill-antialias': true } },
    { id: 'forests', type: 'fill', source: 'forests', paint: { 'fill-color': c('--map-forest') } },
    { id: 'water', type: 'fill', source: 'water', paint: { 'fill-color': c('--map-water') } },
    {
      id: 'rivers', type: 'line', source: 'rivers',
      paint: { 'line-color': c('--map-water'), 'line-width': ['interpolate', ['linear'], ['zoom'], 6, 0.8, 10, 2.5] },
    },
    {
      id: 'roads', type: 'line', source: 'roads', layout: { 'line-join': 'round', 'line-cap': 'round' },
      paint: { 'line-color': c('--map-road'), 'line-width': ['interpolate', ['linear'], ['zoom'], 6, 0.6, 10, 1.8, 13, 4] },
    },
    {
      id: 'borders-casing', type: 'line', source: 'borders', layout: { 'line-join': 'round' },
      paint: { 'line-color': c('--map-halo'), 'line-width': 3, 'line-opacity': 0.5 },
    },
    {
      id: 'borders', type: 'line', source: 'borders', layout: { 'line-join': 'round' },
      paint: { 'line-color': c('--map-border'), 'line-width': 1.4, 'line-dasharray': [4, 2] },
    },
    {
      id: 'places-dot', type: 'circle', source: 'places', minzoom: 6,
      filter: ['>=', ['to-number', ['get', 'population'], 0], 20000],
      paint: {
        'circle-radius': 2.6, 'circle-color': c('--map-halo'), 'circle-stroke-color': c('--map-label'), 'circle-stroke-width': 1.2,
      },
    },
    place('places-hamlet', 0, 5000, 9.5, 11),
    place('places-small', 5000, 20000, 8, 11.5),
    place('places-middle', 20000, 90000, 6, 12),
    place('places-large', 90000, 1e9, 3, 14),
  ];
}

/** The whole style; tiles from outside are laid under everything only when their address was given. */
export function writeStyle(base: BaseAnswer | null, schematic: boolean, tiles: string | null | undefined): StyleSpecification {
  const empty: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };
  const style: StyleSpecification = { version: 8, sources: {}, layers: listLayers(schematic) };
  for (const name of SOURCES) {
    style.sources[name] = { type: 'geojson', data: base?.[name] ?? empty, tolerance: 0.5, buffer: 64 };
  }
  if (tiles) {
    style.sources.tiles = { type: 'raster', tiles: [tiles], tileSize: 256 };
    style.layers.splice(1, 0, { id: 'tiles', type: 'raster', source: 'tiles' });
    style.layers = style.layers.filter((layer) => !['land', 'forests'].includes(layer.id));
  }
  return style;
}

/** New colours of the base map after a change of light and dark. */
export function listColours(schematic: boolean): { layer: string; paint: Record<string, unknown> }[] {
  return listLayers(schematic).map((layer) => ({ layer: layer.id, paint: (layer.paint ?? {}) as Record<string, unknown> }));
}
