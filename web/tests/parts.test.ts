/** Checks of what the parts of the page compute: `node --test "tests/*.test.ts"` in web/. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { checkChain, writeCanonical } from '../src/parts/chain.ts';
import { tellChart } from '../src/parts/charts.ts';
import { compareCells, formatValue, writeCsv, type Wording } from '../src/parts/format.ts';
import type { RecordAnswer } from '../src/parts/types.ts';
import { findPattern, preparePatterns, splitUnit } from '../src/words/patterns.ts';

const english: Wording = { locale: 'en-GB', never: 'never', yes: 'yes', no: 'no', undisclosed: 'not disclosed' };
const lithuanian: Wording = { locale: 'lt-LT', never: 'niekada', yes: 'taip', no: 'ne', undisclosed: 'neatskleista' };

test('values are written as on the command line', () => {
  assert.equal(formatValue(1234.56, ',.0f', english), '1,235');
  assert.equal(formatValue(1234.56, '.1f', english), '1234.6');
  assert.equal(formatValue(0.256, '.0%', english), '26%');
  assert.equal(formatValue(0.5, '+.2f', english), '+0.50');
  assert.equal(formatValue(-3, '+,.1f', english), '-3.0');
  assert.equal(formatValue(1234.5678, ',.6g', english), '1,234.57');
  assert.equal(formatValue(2031, '.0f', english), '2031');
  assert.equal(formatValue(2031, '', english), '2031');
});

test('missing, never, yes and undisclosed have words, and undisclosed is never 0', () => {
  assert.equal(formatValue(null, '.1f', english), '-');
  assert.equal(formatValue('', '', english), '-');
  assert.equal(formatValue([], '', english), '-');
  assert.equal(formatValue('never', '.1f', lithuanian), 'niekada');
  assert.equal(formatValue(true, '', lithuanian), 'taip');
  assert.equal(formatValue('not disclosed', ',.0f', lithuanian), 'neatskleista');
  assert.equal(formatValue(0, ',.0f', lithuanian), '0');
});

test('Lithuanian numbers have a decimal comma', () => {
  assert.equal(formatValue(1234567.8, ',.1f', lithuanian).replace(/\s/g, ' '), '1 234 567,8');
});

test('a number that came as a text is written in the language, a name is not', () => {
  assert.equal(formatValue('88,319,210.00', 's', lithuanian).replace(/\s/g, ' '), '88 319 210,00');
  assert.equal(formatValue('34.630', 's', english), '34.630');
  assert.equal(formatValue('183 / 184', 's', lithuanian), '183 / 184');
  assert.equal(formatValue('2026-11-22', '', lithuanian), '2026-11-22');
  assert.equal(formatValue('3.2.1', '', lithuanian), '3.2.1');
});

test('never sorts above every number and missing values stand last', () => {
  const cells = ['never', 3, null, 1e9, -2, 'not disclosed'];
  const sorted = [...cells].sort((a, b) => compareCells(a, b, 'en'));
  assert.deepEqual(sorted, [-2, 3, 1e9, 'never', 'not disclosed', null]);
  assert.deepEqual(['site 10', 'site 9'].sort((a, b) => compareCells(a, b, 'en')), ['site 9', 'site 10']);
});

test('a CSV keeps quotes, and a text that looks like a formula stays a text', () => {
  assert.equal(writeCsv(['a', 'b'], [['x"y', 1.5], ['=1+1', null], [',', -2]]), 'a,b\r\n"x""y",1.5\r\n\'=1+1,\r\n",",-2\r\n');
});

test('captions split into words and unit', () => {
  assert.deepEqual(splitUnit('cost [EUR]'), { caption: 'cost', unit: 'EUR' });
  assert.deepEqual(splitUnit('line'), { caption: 'line', unit: '' });
});

test('a pattern with most fixed letters wins and its places are translated', () => {
  const patterns = preparePatterns({ 'cost {0}': 'kaina {0}', 'cost in {0}': 'kaina plane {0}', '{0} of {1}': '{1}: {0}' });
  const twice = (part: string) => part.toUpperCase();
  assert.equal(findPattern(patterns, 'cost in base', twice), 'kaina plane BASE');
  assert.equal(findPattern(patterns, 'a of b', twice), 'B: A');
  assert.equal(findPattern(patterns, 'nothing', twice), undefined);
  const same = (part: string) => part;
  assert.equal(findPattern(patterns, 'cost of the road', same), undefined);
  assert.equal(findPattern(patterns, 'cost P50', same), 'kaina P50');
});

test('a chart told as a table holds every number and its trace', () => {
  const table = tellChart({
    title: 'Hours', x: { caption: 'year', values: [2026, 2027] }, y: { caption: 'hours', unit: 'h' },
    series: [
      { key: 'held', name: 'held', kind: 'line', values: [1, 2], trace: ['a', 'b'] },
      { key: 'band', name: 'band', kind: 'band', low: [0, 1], high: [2, 3] },
    ],
  });
  assert.deepEqual(table.columns.map((one) => one.caption), ['year', 'held', 'band, low', 'band, high']);
  assert.deepEqual(table.rows[1], { x: 2027, held_: 2, _trace: { held_: 'b' }, band_low: 1, band_high: 3 });
});

test('every Lithuanian text keeps the places that its English has', () => {
  const words = JSON.parse(readFileSync(new URL('../src/words/lt.json', import.meta.url), 'utf8')) as Record<string, Record<string, string>>;
  const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([found]) => found).sort();
  for (const part of Object.values(words)) {
    for (const [english, translated] of Object.entries(part)) {
      assert.ok(translated.trim(), english);
      assert.deepEqual(places(translated), places(english), english);
    }
  }
});

// Two records as the ledger itself wrote and sealed them.
const RECORDS = [
  {"seq": 1, "recorded_at": "2026-01-01T00:00:00Z", "author": "Valstybės kontrolė", "kind": "budget", "key": "lt_total", "corrects": null, "on": "2025-05", "body": {"amount_eur": 2000000.0, "name": "Užtvara „Ž“ <b>\"x\"</b>\n\t\\", "done": 0.25, "note": null}, "source": "delfi.lt", "tag": "F", "access": "public", "previous_hash": "0000000000000000000000000000000000000000000000000000000000000000", "hash": "feda9475fe8737f006bed74821fc4f0ca04a8aea8f43c4596843b3422ee541e5"},
  {"seq": 2, "recorded_at": "2026-01-02T00:00:00Z", "author": "Valstybės kontrolė", "kind": "budget", "key": "lt_total", "corrects": 1, "on": "2025-05", "body": {"share": 1e-05, "amount_eur": "not disclosed", "quantity": 1.2345678901234568e+17, "ratio": 0.30000000000000004, "tiny": 2.5e-07, "neg": -0.00012}, "source": "delfi.lt", "tag": "F", "access": "public", "previous_hash": "feda9475fe8737f006bed74821fc4f0ca04a8aea8f43c4596843b3422ee541e5", "hash": "7a3bab46c205478d70511fe7a8d333543596b11a2bea715b9eaa719d5a398532"},
] as unknown as RecordAnswer[];

test('the browser takes the same hashes as the ledger', async () => {
  assert.equal(writeCanonical({ b: 2e6, a: [1e-5, 0.25, null, 'Ž"'] }), '{"a":[1e-05,0.25,null,"Ž\\""],"b":2000000}');
  assert.deepEqual(await checkChain(RECORDS), { count: 2, broken: null });
});

test('a chain with a changed, missing or swapped record is broken', async () => {
  const [first, second] = RECORDS;
  const changed = { ...first, body: { ...first.body, amount_eur: 2_000_001 } };
  assert.equal((await checkChain([changed, second]))?.broken, 1);
  assert.equal((await checkChain([second]))?.broken, 2);
  assert.equal((await checkChain([second, first]))?.broken, 2);
  assert.equal((await checkChain([first, { ...second, previous_hash: first.previous_hash }]))?.broken, 2);
});
