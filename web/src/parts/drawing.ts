/** The options that ECharts draws: series over a common axis, and works as bars over the years. */
import type { EChartsCoreOption } from 'echarts/core';
import { nameAxis, toNumber } from './charts';
import type { ChartAnswer, SeriesAnswer, SpanAnswer } from './types';

export interface Look {
  ink: string;
  quiet: string;
  rule: string;
  panel: string;
  series: string[];
  font: string;
  width: number;
  still: boolean;
  locale: string;
  say: (text: string) => string;
}

export type Mark = string | number | null;
type Options = Record<string, unknown>;

const DASHES: (string | number[])[] = ['solid', [7, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 3], [12, 4], [4, 2, 1, 2]];
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'pin', 'arrow', 'roundRect', 'circle'];
const SMALL = 12;

/** A number with as many digits as its size needs. */
function writeShort(value: number, locale: string): string {
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value);
}

/** A tip as an element: names go in as text, so nothing in them can become markup. */
function writeTip(head: string, lines: { color: string; name: string; value: string }[]): HTMLElement {
  const box = document.createElement('div');
  const title = document.createElement('strong');
  title.textContent = head;
  box.append(title);
  for (const line of lines) {
    const row = document.createElement('div');
    const mark = document.createElement('span');
    mark.textContent = '■ ';
    mark.style.color = line.color;
    const text = document.createElement('span');
    text.textContent = line.value ? `${line.name}: ${line.value}` : line.name;
    row.append(mark, text);
    box.append(row);
  }
  return box;
}

function baseOption(look: Look): Options {
  return {
    animation: !look.still,
    animationDuration: 250,
    textStyle: { fontFamily: look.font, color: look.ink },
    color: look.series,
  };
}

function tipStyle(look: Look): Options {
  return {
    confine: true,
    backgroundColor: look.panel,
    borderColor: look.rule,
    textStyle: { color: look.ink, fontSize: SMALL },
    extraCssText: 'max-width: 280px; white-space: normal;',
  };
}

function colorOf(look: Look, place: number): string {
  return look.series[place % look.series.length];
}

function drawMark(look: Look, at: Mark): Options | undefined {
  if (at === null) return undefined;
  return { silent: true, symbol: 'none', label: { show: false }, lineStyle: { color: look.ink, type: 'solid', width: 1 }, data: [{ xAxis: at }] };
}

function drawBand(one: SeriesAnswer, name: string, color: string): Options[] {
  const low = (one.low ?? []).map(toNumber);
  const high = (one.high ?? []).map(toNumber);
  const common = { type: 'line', stack: `band ${one.key}`, stackStrategy: 'all', symbol: 'none', silent: true, lineStyle: { opacity: 0 } };
  const wide = high.map((value, row) => (value === null || low[row] === null ? null : value - (low[row] as number)));
  return [
    { ...common, name: `${name} (low)`, data: low },
    { ...common, name, data: wide, areaStyle: { color, opacity: 0.22 }, itemStyle: { color } },
  ];
}

function drawOne(one: SeriesAnswer, name: string, color: string, place: number): Options {
  const data = (one.values ?? []).map(toNumber);
  if (one.kind === 'bar') {
    return { name, type: 'bar', data, stack: one.stack || undefined, itemStyle: { color, borderColor: 'rgba(127,127,127,.4)', borderWidth: 0.5 }, barMaxWidth: 46, barGap: '10%', barCategoryGap: '30%' };
  }
  return {
    name,
    type: 'line',
    data,
    stack: one.stack || undefined,
    symbol: data.length <= 24 ? SYMBOLS[place % SYMBOLS.length] : 'none',
    symbolSize: 6,
    itemStyle: { color },
    lineStyle: { width: 2, color, type: DASHES[place % DASHES.length] },
  };
}

function tellPoint(chart: ChartAnswer, row: number, look: Look): HTMLElement {
  const write = (value: unknown) => (typeof value === 'number' ? writeShort(value, look.locale) : look.say(String(value ?? '-')));
  const lines = chart.series.map((one, place) => ({
    color: colorOf(look, place),
    name: look.say(one.name),
    value: one.kind === 'band' ? `${write(one.low?.[row])} – ${write(one.high?.[row])}` : write(one.values?.[row]),
  }));
  const told = lines.filter((_, place) => chart.series[place].kind !== 'bar' || chart.series.length < 9 || toNumber(chart.series[place].values?.[row]));
  return writeTip(look.say(String(chart.x.values?.[row] ?? '')), told);
}

/** Lines that a legend needs where its names stand side by side as long as they fit. */
function countRows(names: string[], widest: number): number {
  let rows = 1;
  let used = 0;
  for (const name of names) {
    const wide = Math.min(widest, 7 * name.length) + 40;
    if (used > 0 && used + wide > widest + 50) {
      rows += 1;
      used = 0;
    }
    used += wide;
  }
  return rows;
}

/** Bars with many or long names lie on their side. */
function liesDown(chart: ChartAnswer, width: number): boolean {
  const labels = (chart.x.values ?? []).map(String);
  if (!chart.series.length || chart.series.some((one) => one.kind !== 'bar')) return false;
  const longest = Math.max(0, ...labels.map((label) => label.length));
  return labels.some((label) => Number.isNaN(Number(label))) && (labels.length > 8 || longest * 6 * labels.length > width * 1.7);
}

/** A chart without the series of which nothing is known, and their names. */
export function leaveOutUnknown(chart: ChartAnswer): { known: ChartAnswer; unknown: string[] } {
  const isKnown = (one: SeriesAnswer) => [...(one.values ?? []), ...(one.low ?? []), ...(one.high ?? [])].some((value) => toNumber(value) !== null);
  const unknown = chart.series.filter((one) => !isKnown(one)).map((one) => one.name);
  return { known: unknown.length ? { ...chart, series: chart.series.filter(isKnown) } : chart, unknown };
}

/** Height of a chart in pixels. */
export function chooseHeight(chart: ChartAnswer, width: number): number {
  const spans = chart.spans?.length ?? 0;
  if (spans) return Math.min(760, 50 + 17 * spans);
  if (!liesDown(chart, width)) return 290;
  const stacks = new Set(chart.series.map((one) => one.stack || one.key)).size;
  return 90 + Math.max(32, 12 * stacks + 12) * (chart.x.values?.length ?? 0);
}

function nameValues(chart: ChartAnswer, look: Look, labels: string[], lying: boolean): Options {
  const words = !lying && labels.some((label) => label.length > 8);
  const room = lying ? Math.min(190, look.width * 0.4) : Math.max(44, (look.width - 70) / Math.max(labels.length, 1) - 8);
  return {
    type: 'category',
    data: labels,
    inverse: lying,
    name: words || lying ? '' : look.say(nameAxis(chart.x)),
    nameLocation: 'middle',
    nameGap: 30,
    nameTextStyle: { color: look.quiet, fontSize: SMALL },
    axisLabel: {
      color: lying ? look.ink : look.quiet,
      fontSize: lying ? 11 : SMALL,
      hideOverlap: !words && !lying,
      interval: words || lying ? 0 : 'auto',
      width: room,
      overflow: words || lying ? 'break' : 'none',
      lineHeight: lying ? 12 : 15,
      margin: 10,
    },
    axisLine: { lineStyle: { color: look.rule } },
    axisTick: { show: false },
  };
}

function measureValues(chart: ChartAnswer, look: Look, lying: boolean): Options {
  return {
    type: 'value',
    name: look.say(nameAxis(chart.y)),
    nameLocation: lying ? 'middle' : 'end',
    nameGap: lying ? 26 : 15,
    nameTextStyle: { color: look.quiet, fontSize: SMALL, ...(lying ? {} : { align: 'left', padding: [0, 0, 0, -12] }) },
    axisLabel: { color: look.quiet, fontSize: SMALL, formatter: (value: number) => writeShort(value, look.locale) },
    splitLine: { lineStyle: { color: look.rule } },
    splitNumber: lying && look.width < 520 ? 3 : 4,
  };
}

/** Numbers at the ends of lying bars that stand side by side. */
function writeEnds(look: Look): Options {
  const formatter = (found: { value: number | null }) => (found.value === null ? '' : writeShort(found.value, look.locale));
  return { label: { show: true, position: 'right', color: look.quiet, fontSize: 10, formatter } };
}

/** Lines, bars and bands over one axis of values in order. */
export function drawSeries(chart: ChartAnswer, look: Look, mark: Mark): EChartsCoreOption {
  const lying = liesDown(chart, look.width);
  const names = chart.series.map((one) => look.say(one.name));
  const marks = lying || mark === null ? undefined : drawMark(look, String(mark));
  const series = chart.series.flatMap((one, place) =>
    one.kind === 'band'
      ? drawBand(one, names[place], colorOf(look, place))
      : [{ ...drawOne(one, names[place], colorOf(look, place), place), ...(lying && !one.stack ? writeEnds(look) : {}) } as Options],
  );
  if (series.length && marks) series[series.length - 1].markLine = marks;
  const labels = (chart.x.values ?? []).map((value) => look.say(String(value)));
  const widest = Math.max(120, look.width - 60);
  const shown = names.length > 1;
  const legendRows = shown ? countRows(names, widest) : 0;
  const along = nameValues(chart, look, labels, lying);
  const across = measureValues(chart, look, lying);
  const words = along.name === '';
  return {
    ...baseOption(look),
    grid: { left: 8, right: lying ? 44 : 14, top: (lying ? 12 : 36) + 22 * legendRows, bottom: lying ? 32 : words ? 8 : 36, containLabel: true },
    legend: { show: shown, data: names, top: 0, left: 0, itemGap: 12, textStyle: { color: look.ink, fontSize: SMALL, width: widest, overflow: 'truncate' }, itemWidth: 22, itemHeight: 10, inactiveColor: look.quiet },
    tooltip: {
      ...tipStyle(look),
      trigger: 'axis',
      axisPointer: { type: lying ? 'shadow' : 'line' },
      formatter: (found: unknown) => tellPoint(chart, (found as { dataIndex: number }[])[0]?.dataIndex ?? 0, look),
    },
    xAxis: lying ? across : along,
    yAxis: lying ? along : across,
    series,
  };
}

function writeYear(value: number, locale: string): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: 1, useGrouping: false }).format(value);
}

function tellSpan(span: SpanAnswer, look: Look): HTMLElement {
  const line = (name: string, from: number, to: number, color: string) => ({ color, name: look.say(name), value: `${writeYear(from, look.locale)} – ${writeYear(to, look.locale)}` });
  const lines = span.work > span.begin ? [line('waiting', span.begin, span.work, look.quiet)] : [];
  lines.push(line('work', span.work, span.end, look.series[span.is_fixed ? 1 : 0]));
  if (span.is_fixed) lines.push({ color: look.series[1], name: look.say('contracted already'), value: '' });
  return writeTip(span.label, lines);
}

interface Tool {
  value: (place: number) => number;
  coord: (at: number[]) => number[];
  size: (at: number[]) => number[];
}

/** Works as bars: a thin one while they wait, a full one while they are built; earliest on top. */
export function drawSpans(chart: ChartAnswer, look: Look, mark: Mark): EChartsCoreOption {
  const spans = [...(chart.spans ?? [])].sort((a, b) => b.begin - a.begin || b.work - a.work || b.end - a.end);
  const first = Math.floor(Math.min(...spans.map((span) => span.begin)));
  const last = Math.ceil(Math.max(...spans.map((span) => span.end)));
  const letters = look.width < 520 ? 15 : 34;
  const draw = (_: unknown, tool: Tool): Options => {
    const row = tool.value(3);
    const tall = Math.max(2, tool.size([0, 1])[1] * 0.7);
    const [from, start, end] = [0, 1, 2].map((part) => tool.coord([tool.value(part), row]));
    const fill = look.series[spans[row].is_fixed ? 1 : 0];
    const box = (left: number, right: number, high: number, opacity: number) => ({
      type: 'rect',
      shape: { x: left, y: start[1] - high / 2, width: Math.max(1, right - left), height: high },
      style: { fill, opacity },
    });
    return { type: 'group', children: [box(from[0], start[0], Math.max(1, tall / 4), 0.6), box(start[0], Math.max(end[0], start[0] + 2), tall, 1)] };
  };
  return {
    ...baseOption(look),
    grid: { left: 8, right: 14, top: 8, bottom: 8, containLabel: true },
    tooltip: { ...tipStyle(look), trigger: 'item', formatter: (found: unknown) => tellSpan(spans[(found as { dataIndex: number }).dataIndex], look) },
    xAxis: {
      type: 'value',
      min: first,
      max: last,
      interval: Math.max(1, Math.ceil(((last - first) * 44) / Math.max(look.width * 0.6, 120))),
      axisLabel: { color: look.quiet, fontSize: SMALL, formatter: (value: number) => String(Math.round(value)) },
      splitLine: { lineStyle: { color: look.rule } },
    },
    yAxis: {
      type: 'category',
      data: spans.map((_, row) => String(row)),
      axisLabel: {
        color: look.ink,
        fontSize: 11,
        interval: spans.length > 40 ? 'auto' : 0,
        formatter: (row: string) => {
          const { label } = spans[Number(row)];
          return label.length > letters ? `${label.slice(0, letters - 1)}…` : label;
        },
      },
      axisTick: { show: false },
      axisLine: { lineStyle: { color: look.rule } },
    },
    series: [
      {
        type: 'custom',
        data: spans.map((span, row) => [span.begin, span.work, span.end, row]),
        encode: { x: [0, 2], y: 3 },
        renderItem: draw,
        clip: true,
        markLine: drawMark(look, mark === null ? null : Math.min(Number(mark), last)),
      },
    ],
  };
}
