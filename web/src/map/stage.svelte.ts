/** A map with its base, its cells and the features that views show on it. */
import {
  AttributionControl, Map as MapLibreMap, NavigationControl, ScaleControl, setWorkerCount, setWorkerUrl,
  type GeoJSONSource, type MapMouseEvent,
} from 'maplibre-gl';
import mapWorker from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import { findScript } from '../api/api';
import type { BaseAnswer, Bounds } from '../api/answers';
import type { Cells } from '../mesh/cells.svelte';
import { mark } from '../state/busy.svelte';
import type { Camera } from '../state/page.svelte';
import { HexagonLayer } from './hexagons';
import { listLookLayers, readProperties, type Look, type OnClick, type Shown } from './looks';
import type { Scale } from './scales';
import { BELOW_LABELS, BELOW_NAMES, BELOW_ROADS, listColours, readColour, SOURCES, writeStyle } from './style';

setWorkerUrl(findScript(mapWorker));
setWorkerCount(1);

export interface StageOptions {
  base: BaseAnswer | null;
  bounds: Bounds;
  camera: Camera | null;
  schematic: boolean;
  tiles?: string | null;
  label: string;
}

const EMPTY: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };

export class Stage {
  /** True when the base map is drawn. */
  loaded = $state(false);
  /** True when the cells given last are on the screen. */
  painted = $state(false);
  /** Called with a click that met no feature. */
  onground: ((place: [number, number]) => void) | null = null;
  /** Called while the map moves by itself, not after another map. */
  onmove: ((camera: Camera) => void) | null = null;
  /** Called when the reader has moved the map. */
  oncamera: ((camera: Camera) => void) | null = null;

  map: MapLibreMap | null = null;
  private shown = new Map<string, Shown>();
  private hexagons: HexagonLayer | null = null;
  private values: { values: Float32Array; scale: Scale } | null = null;
  private base: BaseAnswer | null = null;
  private schematic = false;
  private bounds: Bounds = [0, 0, 1, 1];

  /** Open the map in an element; the answer closes it again. */
  mount(container: HTMLElement, options: StageOptions): () => void {
    this.schematic = options.schematic;
    this.bounds = options.bounds;
    this.base = options.base;
    const map = new MapLibreMap({
      container,
      style: writeStyle(options.base, options.schematic, options.tiles),
      attributionControl: false,
      dragRotate: false, pitchWithRotate: false, touchPitch: false, maxPitch: 0,
      minZoom: 3, maxZoom: 14, renderWorldCopies: false, fadeDuration: 0,
      ...(options.camera
        ? { center: [options.camera.lon, options.camera.lat] as [number, number], zoom: options.camera.zoom }
        : { bounds: options.bounds, fitBoundsOptions: { padding: 20 } }),
    });
    this.map = map;
    map.touchZoomRotate.disableRotation();
    map.keyboard.disableRotation();
    map.addControl(new NavigationControl({ showCompass: false }), 'top-right');
    map.addControl(new ScaleControl({ unit: 'metric' }), 'bottom-right');
    if (options.tiles) map.addControl(new AttributionControl({ compact: true }), 'bottom-right');
    const canvas = map.getCanvas();
    canvas.setAttribute('aria-label', options.label);
    canvas.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter') return;
      const centre = map.getCenter();
      this.click(map.project(centre), [centre.lng, centre.lat]);
    });
    map.on('load', () => this.begin());
    map.on('click', (event: MapMouseEvent) => this.click(event.point, [event.lngLat.lng, event.lngLat.lat]));
    map.on('mousemove', (event: MapMouseEvent) => this.point(event));
    map.on('move', (event) => {
      // A move that follows the other map must not come back.
      if ((event as { following?: boolean }).following) return;
      this.onmove?.(this.readCamera());
    });
    map.on('moveend', (event) => {
      if ((event as { originalEvent?: unknown }).originalEvent) this.oncamera?.(this.readCamera());
    });
    const watcher = new ResizeObserver(() => map.resize());
    watcher.observe(container);
    return () => {
      watcher.disconnect();
      map.remove();
      this.map = null;
      this.hexagons = null;
      this.loaded = false;
      this.painted = false;
    };
  }

  private readCamera(): Camera {
    const centre = this.map!.getCenter();
    return { lon: centre.lng, lat: centre.lat, zoom: this.map!.getZoom() };
  }

  private begin(): void {
    this.loaded = true;
    mark('map');
    const map = this.map!;
    map.addSource('highlight', { type: 'geojson', data: EMPTY });
    map.addLayer({
      id: 'highlight', type: 'line', source: 'highlight',
      paint: { 'line-color': readColour('--focus'), 'line-width': 9, 'line-opacity': 0.65 },
    }, BELOW_NAMES);
    if (this.hexagons) map.addLayer(this.hexagons, BELOW_ROADS);
    for (const [key, shown] of this.shown) this.draw(key, shown);
    if (this.base) this.setBase(this.base);
  }

  /** Give the map its base; it may come after the map was opened. */
  setBase(base: BaseAnswer): void {
    this.base = base;
    if (!this.loaded || !this.map) return;
    for (const name of SOURCES) (this.map!.getSource(name) as GeoJSONSource | undefined)?.setData(base[name]);
  }

  /** Give the map the cells; they appear with the first values. */
  setCells(cells: Cells): void {
    if (this.hexagons) return;
    this.hexagons = new HexagonLayer(cells);
    this.hexagons.onpainted = () => {
      if (this.painted) return;
      this.painted = true;
      // The frame counts when it is on the screen, not when it was ordered.
      requestAnimationFrame(() => mark('cells'));
    };
    if (this.values) this.hexagons.setValues(this.values.values, this.values.scale);
    if (this.loaded) this.map?.addLayer(this.hexagons, BELOW_ROADS);
  }

  /** Colour the cells by one value each, or take the colours away. */
  setValues(values: Float32Array | null, scale: Scale | null): void {
    this.values = values && scale ? { values, scale } : null;
    this.painted = this.map === null && this.loaded;
    this.hexagons?.setValues(values, scale);
  }

  setCellOpacity(opacity: number): void {
    if (this.hexagons) this.hexagons.opacity = opacity;
    this.map?.triggerRepaint();
  }

  /** Show features under a key; the same key again replaces them. */
  show(key: string, data: GeoJSON.FeatureCollection, look: Look): void {
    this.shown.set(key, { data, look });
    if (this.loaded && this.map) this.draw(key, { data, look });
  }

  /** Take features away. */
  hide(key: string): void {
    this.shown.delete(key);
    this.erase(key);
  }

  /** Take all features of a view away. */
  clear(): void {
    for (const key of [...this.shown.keys()]) this.hide(key);
    this.highlight(null);
  }

  /** Mark something on the map. */
  highlight(data: GeoJSON.FeatureCollection | null): void {
    (this.map?.getSource('highlight') as GeoJSONSource | undefined)?.setData(data ?? EMPTY);
  }

  fit(bounds: Bounds): void {
    this.map?.fitBounds(bounds, { padding: 40, maxZoom: 11, animate: false });
  }

  /** Show the whole study again. */
  fitAll(): void {
    this.map?.fitBounds(this.bounds, { padding: 20, animate: false });
  }

  flyTo(place: [number, number], zoom = 10): void {
    this.map?.jumpTo({ center: place, zoom: Math.max(zoom, this.map.getZoom()) });
  }

  /** Go where a link says. */
  moveTo(camera: Camera): void {
    this.map?.jumpTo({ center: [camera.lon, camera.lat], zoom: camera.zoom });
  }

  /** Follow another map without telling anyone that this one moved. */
  follow(camera: Camera): void {
    this.map?.jumpTo({ center: [camera.lon, camera.lat], zoom: camera.zoom }, { following: true });
  }

  /** New colours after a change of light and dark. */
  recolour(): void {
    if (!this.map || !this.loaded) return;
    for (const { layer, paint } of listColours(this.schematic)) {
      if (!this.map.getLayer(layer)) continue;
      for (const [name, value] of Object.entries(paint)) this.map.setPaintProperty(layer, name as never, value as never);
    }
    for (const [key, shown] of this.shown) {
      this.erase(key);
      this.draw(key, shown);
    }
  }

  private draw(key: string, { data, look }: Shown): void {
    const map = this.map!;
    const name = `shown-${key}`;
    const source = map.getSource(name) as GeoJSONSource | undefined;
    const layers = listLookLayers(key, look);
    if (source && layers.every((layer) => map.getLayer(layer.id))) {
      source.setData(data);
      for (const layer of layers) {
        for (const [property, value] of Object.entries(layer.paint ?? {})) {
          map.setPaintProperty(layer.id, property as never, value as never);
        }
      }
      return;
    }
    this.erase(key);
    map.addSource(name, { type: 'geojson', data, tolerance: 0.3 });
    for (const layer of layers) map.addLayer(layer, this.findPlace(layer.type));
  }

  /** The layer of the base map above the new one: lines lie under borders, points under names. */
  private findPlace(type: string): string | undefined {
    if (type === 'symbol') return undefined;
    return type === 'circle' ? BELOW_LABELS : BELOW_NAMES;
  }

  private erase(key: string): void {
    const { map } = this;
    const name = `shown-${key}`;
    if (!map || !this.loaded || !map.getSource(name)) return;
    for (const id of [name, `${name}-edge`, `${name}-wide`, `${name}-casing`, `${name}-label`]) if (map.getLayer(id)) map.removeLayer(id);
    map.removeSource(name);
  }

  private findClickable(point: { x: number; y: number }): { onclick: OnClick; properties: Record<string, unknown> } | null {
    const { map } = this;
    if (!map || !this.loaded) return null;
    const ids: string[] = [];
    for (const [key, { look }] of this.shown) {
      if (!look.onclick) continue;
      for (const id of [`shown-${key}`, `shown-${key}-wide`]) if (map.getLayer(id)) ids.push(id);
    }
    if (ids.length === 0) return null;
    const found = map.queryRenderedFeatures([point.x, point.y], { layers: ids })[0];
    if (!found) return null;
    const shown = this.shown.get(String(found.source).replace(/^shown-/, ''));
    return shown?.look.onclick ? { onclick: shown.look.onclick, properties: readProperties(found) } : null;
  }

  private click(point: { x: number; y: number }, place: [number, number]): void {
    const found = this.findClickable(point);
    if (found) found.onclick(found.properties, place);
    else this.onground?.(place);
  }

  private point(event: MapMouseEvent): void {
    this.map!.getCanvas().style.cursor = this.findClickable(event.point) ? 'pointer' : '';
  }
}

/** The map of the page; the comparing view has a second one. */
export const stage = new Stage();
